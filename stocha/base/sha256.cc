#include "stocha/base/sha256.h"

#include "stocha/base/file.h"

namespace stocha {

Sha256::Digest Sha256::Finish() {
  Digest digest{};
  SHA256Final(digest.data(), &context_);
  return digest;
}

std::string Sha256::FinishHex() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : Finish()) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string Sha256Hex(std::string_view bytes) {
  Sha256 sum;
  sum.Add(bytes);
  return sum.FinishHex();
}

std::string Sha256HexOfFile(const std::filesystem::path& file) {
  Sha256 sum;
  sum.Add(MappedFile::Open(file).bytes());
  return sum.FinishHex();
}

}  // namespace stocha
