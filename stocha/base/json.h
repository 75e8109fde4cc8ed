// JSON from files that nobody vouches for: parsed strictly, and read key by key with errors that
// name the key. Shared by config, safetensors and tokenizer.
#ifndef STOCHA_BASE_JSON_H_
#define STOCHA_BASE_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace stocha {

using Json = nlohmann::json;

// Containers within containers; every format read here needs fewer than 10. Bounds the stack of
// whatever walks the value.
inline constexpr int kMaxJsonDepth = 64;

// Throws Error, `where` at its head, on anything RFC 8259 refuses (with the byte), broken UTF-8, a
// number too large for a double, a key twice in one object, or deeper nesting than kMaxJsonDepth.
// An integer beyond 64 bits becomes a floating-point number.
Json ParseJson(std::string_view text, std::string_view where);

// Typed access to an object's values. Borrows `value`, which must outlive it. A key whose value is
// null counts as absent. A value of the wrong type or out of range throws
// `WHERE: key "x": got ..., expected ...`.
class JsonObject {
 public:
  // Throws Error unless `value` is an object. `prefix` goes before keys in errors, e.g.
  // "rope_scaling.".
  JsonObject(const Json& value, std::string_view where, std::string_view prefix = "");

  const Json* Find(std::string_view key) const;  // nullptr when absent
  bool Has(std::string_view key) const { return Find(key) != nullptr; }

  // Required; Error when absent.
  int64_t Integer(std::string_view key, int64_t min = INT64_MIN, int64_t max = INT64_MAX) const;
  double Number(std::string_view key) const;  // finite
  bool Bool(std::string_view key) const;
  std::string String(std::string_view key) const;
  const Json& Array(std::string_view key) const;
  JsonObject Object(std::string_view key) const;

  // The value at `key`, `fallback` when absent.
  int64_t IntegerOr(std::string_view key, int64_t fallback, int64_t min = INT64_MIN,
                    int64_t max = INT64_MAX) const;
  double NumberOr(std::string_view key, double fallback) const;
  bool BoolOr(std::string_view key, bool fallback) const;
  std::string StringOr(std::string_view key, std::string_view fallback) const;

  const Json& value() const { return *value_; }
  const std::string& where() const { return where_; }

  // Throws the Error above: what was got is the value at `key`.
  [[noreturn]] void Fail(std::string_view key, std::string_view expected,
                         std::string_view hint = "") const;

 private:
  const Json* value_;
  std::string where_;
  std::string prefix_;
};

}  // namespace stocha

#endif  // STOCHA_BASE_JSON_H_
