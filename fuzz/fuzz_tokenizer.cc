// tokenizer.json: loaded or refused; and what was loaded encodes and decodes a text with a bit of
// everything, or says that a pattern takes too much work.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/model/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr std::string_view kText =
      "hello world <s> It's 12 e\u0301 \u4e2d\U0001F600\r\n\t  aaaa\xff";
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  try {
    const stocha::Tokenizer tokenizer = stocha::Tokenizer::FromJson(json, "tokenizer.json");
    const std::vector<int32_t> ids = tokenizer.Encode(kText);
    stocha::StreamDecoder decoder(tokenizer, /*skip_special=*/false);
    std::string streamed;
    for (const int32_t id : ids) streamed += decoder.Push(id);
    streamed += decoder.Finish();
    if (streamed != tokenizer.Decode(ids)) std::abort();
  } catch (const stocha::Error&) {
    return 0;
  }
  return 0;
}
