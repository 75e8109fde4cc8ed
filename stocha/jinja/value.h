// The values of a template: what JSON has, and what templates make of it. Texts are UTF-8 and count
// in code points, as Python's do; integers have 64 bits.
#ifndef STOCHA_JINJA_VALUE_H_
#define STOCHA_JINJA_VALUE_H_

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace stocha::jinja {

class Value;

// Lists within lists, of a value that a template makes: bounds the stack of whatever walks it.
inline constexpr int kMaxValueDepth = 100;

struct None {};
// A name or an attribute that is not there. It prints as nothing and counts as false; anything else
// done with it is an error.
struct Undefined {
  std::shared_ptr<const std::string> name;
};
// raise_exception, namespace ...: what only a call makes use of.
struct Function {
  std::string_view name;  // of a table that stays
};

struct List {
  std::vector<Value> items;
  bool tuple = false;
  // What select, map and their kin give: true whatever is in it, no length, and used up by being
  // walked.
  bool lazy = false;
  int depth = 1;
};
struct Dict {
  std::vector<std::pair<std::string, Value>> entries;  // in the order they came in
  int depth = 1;

  const Value* Find(std::string_view key) const;
  void Set(std::string_view key, Value value);  // replaces the value of a key that is there
};
// namespace(...): attributes that `set` may change from within a loop.
struct Namespace {
  Dict attributes;
};
// The `loop` of a for.
struct Loop {
  std::vector<Value> items;
  size_t index = 0;  // from 0
  int depth = 1;     // of loops within loops
};

// Cheap to copy: texts and containers are shared. No container holds a Namespace or a Loop, so that
// there are no cycles.
class Value {
 public:
  Value() : data_(Undefined{}) {}
  Value(None none) : data_(none) {}                 // NOLINT(google-explicit-constructor)
  Value(Undefined undefined) : data_(undefined) {}  // NOLINT(google-explicit-constructor)
  Value(Function function) : data_(function) {}     // NOLINT(google-explicit-constructor)
  explicit Value(bool value) : data_(value) {}
  explicit Value(int64_t value) : data_(value) {}
  explicit Value(double value) : data_(value) {}
  explicit Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  explicit Value(std::shared_ptr<List> list) : data_(std::move(list)) {}
  explicit Value(std::shared_ptr<Dict> dict) : data_(std::move(dict)) {}
  explicit Value(std::shared_ptr<Namespace> space) : data_(std::move(space)) {}
  explicit Value(std::shared_ptr<Loop> loop) : data_(std::move(loop)) {}

  bool IsUndefined() const { return Is<Undefined>(); }
  bool IsNone() const { return Is<None>(); }
  bool IsNumber() const { return Is<bool>() || Is<int64_t>() || Is<double>(); }

  // Null unless it is one; so are the next.
  const bool* Bool() const { return std::get_if<bool>(&data_); }
  const double* Float() const { return std::get_if<double>(&data_); }
  const Undefined* AsUndefined() const { return std::get_if<Undefined>(&data_); }
  const Function* AsFunction() const { return std::get_if<Function>(&data_); }
  const std::string* Text() const { return Get<const std::string>(); }
  List* AsList() const { return Get<List>(); }
  Dict* AsDict() const { return Get<Dict>(); }
  Namespace* AsNamespace() const { return Get<Namespace>(); }
  Loop* AsLoop() const { return Get<Loop>(); }
  // An integer, or true or false, which Python counts as 1 and 0.
  bool Integer(int64_t* value) const;

  // 0 of what holds nothing.
  int depth() const;
  // "a string", "a list" ..., for errors.
  std::string_view KindName() const;
  // Python's bool().
  bool Truth() const;

 private:
  template <typename T>
  bool Is() const {
    return std::holds_alternative<T>(data_);
  }
  template <typename T>
  T* Get() const {
    const auto* held = std::get_if<std::shared_ptr<T>>(&data_);
    return held == nullptr ? nullptr : held->get();
  }

  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<List>, std::shared_ptr<Dict>, std::shared_ptr<Namespace>,
               std::shared_ptr<Loop>, Function>
      data_;
};

// Depth is that of the JSON; an integer beyond 64 bits becomes a floating-point number.
Value FromJson(const nlohmann::ordered_json& json);

// Python's repr() of a float: the shortest digits that read back the same.
std::string FloatText(double value);

}  // namespace stocha::jinja

#endif  // STOCHA_JINJA_VALUE_H_
