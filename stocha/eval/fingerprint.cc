#include "stocha/eval/fingerprint.h"

#include <sha256.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <vector>

#include "stocha/base/file.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = size_t{64} << 10;  // bytes
constexpr size_t kPieces = 64;               // of a large file

class Digest {
 public:
  Digest() { SHA256Init(&context_); }

  void Add(std::span<const std::byte> bytes) {
    SHA256Update(&context_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  void Add(std::string_view text) { Add(std::as_bytes(std::span(text))); }

  std::string Finish() {
    std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
    SHA256Final(digest.data(), &context_);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const uint8_t byte : digest) {
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
    return text;
  }

 private:
  SHA2_CTX context_{};
};

void AddFile(const fs::path& path, Digest* digest) {
  const MappedFile file = MappedFile::Open(path);
  const std::span<const std::byte> bytes = file.bytes();
  digest->Add(path.filename().string() + "\n" + std::to_string(bytes.size()) + "\n");
  if (bytes.size() <= kPiece * kPieces) return digest->Add(bytes);
  for (size_t i = 0; i < kPieces; ++i) {
    digest->Add(bytes.subspan((bytes.size() - kPiece) / (kPieces - 1) * i, kPiece));
  }
}

}  // namespace

std::string Sha256(std::string_view bytes) {
  Digest digest;
  digest.Add(bytes);
  return digest.Finish();
}

std::string ModelFingerprint(const fs::path& model) {
  Digest digest;
  if (!fs::is_directory(model)) {
    AddFile(model, &digest);
    return digest.Finish();
  }
  std::set<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(model)) {
    const fs::path& path = entry.path();
    const bool read = path.extension() == ".safetensors" || path.filename() == "config.json" ||
                      path.filename() == "tokenizer.json";
    if (read && entry.is_regular_file()) files.insert(path);
  }
  for (const fs::path& path : files) AddFile(path, &digest);
  return digest.Finish();
}

}  // namespace stocha
