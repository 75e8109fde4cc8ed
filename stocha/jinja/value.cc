#include "stocha/jinja/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace stocha::jinja {

const Value* Dict::Find(std::string_view key) const {
  const auto found =
      std::ranges::find_if(entries, [key](const auto& entry) { return entry.first == key; });
  return found == entries.end() ? nullptr : &found->second;
}

void Dict::Set(std::string_view key, Value value) {
  depth = std::max(depth, value.depth() + 1);
  const auto found =
      std::ranges::find_if(entries, [key](const auto& entry) { return entry.first == key; });
  if (found == entries.end()) {
    entries.emplace_back(key, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

bool Value::Integer(int64_t* value) const {
  if (const bool* truth = Bool()) {
    *value = *truth ? 1 : 0;
    return true;
  }
  const auto* integer = std::get_if<int64_t>(&data_);
  if (integer == nullptr) return false;
  *value = *integer;
  return true;
}

int Value::depth() const {
  if (const List* list = AsList()) return list->depth;
  if (const Dict* dict = AsDict()) return dict->depth;
  return 0;
}

std::string_view Value::KindName() const {
  constexpr std::array<std::string_view, 11> kNames = {"nothing (undefined)",
                                                       "none",
                                                       "a boolean",
                                                       "an integer",
                                                       "a number",
                                                       "a string",
                                                       "a list",
                                                       "a dict",
                                                       "a namespace",
                                                       "a loop",
                                                       "a function"};
  return kNames[data_.index()];
}

bool Value::Truth() const {
  if (IsUndefined() || IsNone()) return false;
  if (const bool* truth = Bool()) return *truth;
  if (int64_t integer = 0; Integer(&integer)) return integer != 0;
  if (const double* number = Float()) return *number != 0;
  if (const std::string* text = Text()) return !text->empty();
  if (const List* list = AsList()) return list->lazy || !list->items.empty();
  if (const Dict* dict = AsDict()) return !dict->entries.empty();
  return true;
}

Value FromJson(const nlohmann::ordered_json& json) {
  if (json.is_null()) return None{};
  if (json.is_boolean()) return Value(json.get<bool>());
  if (json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{INT64_MAX}) {
    return Value(json.get<double>());
  }
  if (json.is_number_integer()) return Value(json.get<int64_t>());
  if (json.is_number()) return Value(json.get<double>());
  if (json.is_string()) return Value(json.get<std::string>());
  if (json.is_array()) {
    auto list = std::make_shared<List>();
    for (const nlohmann::ordered_json& item : json) {
      list->items.push_back(FromJson(item));
      list->depth = std::max(list->depth, list->items.back().depth() + 1);
    }
    return Value(std::move(list));
  }
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, item] : json.items()) {
    dict->entries.emplace_back(key, FromJson(item));
    dict->depth = std::max(dict->depth, dict->entries.back().second.depth() + 1);
  }
  return Value(std::move(dict));
}

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 32> buffer{};
  char* const begin = buffer.data();
  // Python writes 1e+16 and 1e-05 so, and what is in between without an exponent.
  const double size = std::abs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto [end, error] = std::to_chars(begin, begin + buffer.size(), value, format);
  std::string text(begin, error == std::errc() ? end : begin);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

}  // namespace stocha::jinja
