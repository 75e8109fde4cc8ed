// A chat template: parsed or refused, and what was parsed renders a conversation, within limits, or
// says why it does not.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "stocha/base/error.h"
#include "stocha/base/utf8.h"
#include "stocha/jinja/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto kVariables = nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": " Be \u00e9. "}, {"role": "user", "content": "Hi"},
                 {"role": "assistant", "content": "<think>\na\n</think>\n\nb",
                  "tool_calls": [{"function": {"name": "f", "arguments": {"x": [1, 2.5, null]}}}]},
                 {"role": "tool", "content": "42"}, {"role": "user", "content": ""}],
    "tools": [{"name": "f"}], "bos_token": "<s>", "add_generation_prompt": true, "n": -3})");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr stocha::jinja::Limits kLimits = {.steps = 100'000, .bytes = 1 << 20};
  try {
    const auto parsed = stocha::jinja::Template::Parse(text, "template");
    const std::string rendered = parsed.Render(kVariables, /*now=*/0, kLimits);
    if (rendered.size() > kLimits.bytes || !stocha::IsUtf8(rendered)) std::abort();
  } catch (const stocha::Error&) {
    return 0;
  }
  return 0;
}
