#include <string>
#include <string_view>

#include "stocha/jinja/builtins.h"

namespace stocha::jinja {
namespace {

constexpr int64_t kMaxIndent = 16;

class JsonWriter {
 public:
  JsonWriter(Context& context, int64_t indent) : context_(context), indent_(indent) {}

  std::string Run(const Value& value) {
    Write(value, 0);
    return std::move(out_);
  }

 private:
  void Write(const Value& value, int level) {
    context_.Step();
    if (const std::string* text = value.Text()) {
      WriteText(*text);
    } else if (value.IsNone()) {
      out_ += "null";
    } else if (const bool* truth = value.Bool()) {
      out_ += *truth ? "true" : "false";
    } else if (value.IsNumber()) {
      out_ += ToText(context_, value);
    } else if (const List* list = value.AsList(); list != nullptr && !list->lazy) {
      out_ += '[';
      for (size_t i = 0; i < list->items.size(); ++i) {
        Separate(i, level + 1);
        Write(list->items[i], level + 1);
      }
      Close(']', list->items.empty(), level);
    } else if (const Dict* dict = value.AsDict()) {
      out_ += '{';
      for (size_t i = 0; i < dict->entries.size(); ++i) {
        Separate(i, level + 1);
        WriteText(dict->entries[i].first);
        out_ += ": ";
        Write(dict->entries[i].second, level + 1);
      }
      Close('}', dict->entries.empty(), level);
    } else {
      context_.FailKind("the filter tojson", value);
    }
    context_.Bytes(std::ssize(out_) - counted_);
    counted_ = std::ssize(out_);
  }

  void Separate(size_t index, int level) {
    if (index > 0) out_ += indent_ < 0 ? ", " : ",";
    NewLine(level);
  }

  void Close(char bracket, bool empty, int level) {
    if (!empty) NewLine(level);
    out_ += bracket;
  }

  void NewLine(int level) {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<size_t>(level * indent_), ' ');
  }

  void WriteText(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out_ += '"';
    for (const char c : text) {
      const auto byte = static_cast<uint8_t>(c);
      const char escape = Escape(c);
      if (escape != 0) {
        out_ += '\\';
        out_ += escape;
      } else if (byte < 0x20) {
        out_ += "\\u00";
        out_ += kHex[byte >> 4];
        out_ += kHex[byte & 15];
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  static char Escape(char c) {
    switch (c) {
      case '"':
      case '\\':
        return c;
      case '\n':
        return 'n';
      case '\r':
        return 'r';
      case '\t':
        return 't';
      case '\f':
        return 'f';
      case '\b':
        return 'b';
      default:
        return 0;
    }
  }

  Context& context_;
  int64_t indent_;
  std::string out_;
  int64_t counted_ = 0;
};

}  // namespace

std::string ToJson(Context& context, const Value& value, int64_t indent) {
  if (indent > kMaxIndent) context.Fail("an indent too large", std::to_string(indent));
  return JsonWriter(context, indent).Run(value);
}

}  // namespace stocha::jinja
