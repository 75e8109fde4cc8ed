#include "stocha/base/json.h"

#include <cmath>
#include <utility>
#include <vector>

#include "stocha/base/error.h"

namespace stocha {
namespace {

// Builds the value while nlohmann's (non-recursive) parser reads, so that depth and duplicate keys
// are caught as they come; its own builder has no limit and keeps the last of two equal keys.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::string_view where) : where_(where) {}

  Json Take() { return std::move(root_); }

  bool null() override { return Leaf(nullptr); }
  bool boolean(bool value) override { return Leaf(value); }
  bool number_integer(int64_t value) override { return Leaf(value); }
  bool number_unsigned(uint64_t value) override { return Leaf(value); }
  bool number_float(double value, const std::string&) override { return Leaf(value); }
  bool string(std::string& value) override { return Leaf(std::move(value)); }
  bool binary(Json::binary_t& value) override { return Leaf(std::move(value)); }

  bool start_object(size_t) override { return Open(Json::object()); }
  bool end_object() override { return Close(); }
  bool start_array(size_t) override { return Open(Json::array()); }
  bool end_array() override { return Close(); }

  bool key(std::string& name) override {
    const auto [entry, added] =
        open_.back()->get_ref<Json::object_t&>().try_emplace(std::move(name));
    if (!added) {
      throw Error({.where = where_,
                   .what = "JSON object with a key twice",
                   .got = "\"" + entry->first + "\" again"});
    }
    slot_ = &entry->second;
    return true;
  }

  bool parse_error(size_t byte, const std::string&, const Json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ..."
    std::string_view detail = error.what();
    detail.remove_prefix(std::min(detail.find("] "), detail.size() - 2) + 2);
    throw Error(
        {.where = where_,
         .what = "broken JSON at byte " + std::to_string(byte) + ": " + std::string(detail)});
  }

 private:
  // The place where the next value goes: the root, the key just read, or a new array element.
  Json* Place(Json value) {
    Json* place = &root_;
    if (!open_.empty() && open_.back()->is_array()) {
      place = &open_.back()->get_ref<Json::array_t&>().emplace_back();
    } else if (!open_.empty()) {
      place = slot_;
    }
    *place = std::move(value);
    return place;
  }

  bool Leaf(Json value) {
    Place(std::move(value));
    return true;
  }

  bool Open(Json container) {
    if (open_.size() == kMaxJsonDepth) {
      throw Error({.where = where_,
                   .what = "JSON nested too deep",
                   .expected = "at most " + std::to_string(kMaxJsonDepth) + " levels"});
    }
    open_.push_back(Place(std::move(container)));
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  std::string where_;
  Json root_;
  std::vector<Json*> open_;  // containers being filled; stable, for only the last one grows
  Json* slot_ = nullptr;     // value of the last key
};

}  // namespace

Json ParseJson(std::string_view text, std::string_view where) {
  Builder builder(where);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.Take();
}

JsonObject::JsonObject(const Json& value, std::string_view where, std::string_view prefix)
    : value_(&value), where_(where), prefix_(prefix) {
  if (value.is_object()) return;
  throw Error({.where = where_,
               .what = prefix_.empty() ? "unexpected content"
                                       : "key \"" + prefix_.substr(0, prefix_.size() - 1) + "\"",
               .got = value.dump(),
               .expected = "a JSON object"});
}

const Json* JsonObject::Find(std::string_view key) const {
  const auto entry = value_->find(key);
  return entry == value_->end() || entry->is_null() ? nullptr : &*entry;
}

void JsonObject::Fail(std::string_view key, std::string_view expected,
                      std::string_view hint) const {
  const Json* found = Find(key);
  throw Error({.where = where_,
               .what = "key \"" + prefix_ + std::string(key) + "\"",
               .got = found == nullptr ? "nothing" : found->dump(),
               .expected = std::string(expected),
               .hint = std::string(hint)});
}

int64_t JsonObject::Integer(std::string_view key, int64_t min, int64_t max) const {
  const Json* found = Find(key);
  // An unsigned number above INT64_MAX would turn negative.
  const bool fits = found != nullptr && found->is_number_integer() &&
                    !(found->is_number_unsigned() && found->get<uint64_t>() > INT64_MAX);
  if (fits && found->get<int64_t>() >= min && found->get<int64_t>() <= max) {
    return found->get<int64_t>();
  }
  std::string expected = "an integer";
  if (min != INT64_MIN) expected += " from " + std::to_string(min);
  if (max != INT64_MAX) expected += " to " + std::to_string(max);
  Fail(key, expected);
}

double JsonObject::Number(std::string_view key) const {
  const Json* found = Find(key);
  if (found == nullptr || !found->is_number() || !std::isfinite(found->get<double>())) {
    Fail(key, "a number");
  }
  return found->get<double>();
}

bool JsonObject::Bool(std::string_view key) const {
  const Json* found = Find(key);
  if (found == nullptr || !found->is_boolean()) Fail(key, "true or false");
  return found->get<bool>();
}

std::string JsonObject::String(std::string_view key) const {
  const Json* found = Find(key);
  if (found == nullptr || !found->is_string()) Fail(key, "a string");
  return found->get<std::string>();
}

const Json& JsonObject::Array(std::string_view key) const {
  const Json* found = Find(key);
  if (found == nullptr || !found->is_array()) Fail(key, "an array");
  return *found;
}

JsonObject JsonObject::Object(std::string_view key) const {
  const Json* found = Find(key);
  if (found == nullptr || !found->is_object()) Fail(key, "an object");
  return {*found, where_, prefix_ + std::string(key) + "."};
}

int64_t JsonObject::IntegerOr(std::string_view key, int64_t fallback, int64_t min,
                              int64_t max) const {
  return Has(key) ? Integer(key, min, max) : fallback;
}

double JsonObject::NumberOr(std::string_view key, double fallback) const {
  return Has(key) ? Number(key) : fallback;
}

bool JsonObject::BoolOr(std::string_view key, bool fallback) const {
  return Has(key) ? Bool(key) : fallback;
}

std::string JsonObject::StringOr(std::string_view key, std::string_view fallback) const {
  return Has(key) ? String(key) : std::string(fallback);
}

}  // namespace stocha
