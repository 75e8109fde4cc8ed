// config.json: parsed or refused; and what was parsed is written so that it reads back the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "stocha/base/error.h"
#include "stocha/model/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  stocha::ModelConfig config;
  try {
    config = stocha::ParseModelConfig(text, "config.json");
  } catch (const stocha::Error&) {
    return 0;
  }
  if (!(stocha::ParseModelConfig(stocha::ModelConfigToJson(config), "written") == config)) {
    std::abort();
  }
  stocha::RopeInverseFrequencies(config);
  return 0;
}
