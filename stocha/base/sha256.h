// SHA-256 (libmd's): what files are told apart by.
#ifndef STOCHA_BASE_SHA256_H_
#define STOCHA_BASE_SHA256_H_

#include <sha2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace stocha {

// Of everything that is added, in order.
class Sha256 {
 public:
  using Digest = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

  Sha256() { SHA256Init(&context_); }

  void Add(std::span<const std::byte> bytes) {
    SHA256Update(&context_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  void Add(std::string_view text) { Add(std::as_bytes(std::span(text))); }

  // Once, at the end.
  Digest Finish();
  std::string FinishHex();

 private:
  SHA2_CTX context_{};
};

std::string Sha256Hex(std::string_view bytes);
// Throws Error when the file cannot be read.
std::string Sha256HexOfFile(const std::filesystem::path& file);

}  // namespace stocha

#endif  // STOCHA_BASE_SHA256_H_
