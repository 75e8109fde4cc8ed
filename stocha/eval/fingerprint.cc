#include "stocha/eval/fingerprint.h"

#include <algorithm>
#include <set>
#include <span>
#include <vector>

#include "stocha/base/file.h"
#include "stocha/base/sha256.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = size_t{64} << 10;  // bytes
constexpr size_t kPieces = 64;               // of a large file

void AddFile(const fs::path& path, Sha256* digest) {
  const MappedFile file = MappedFile::Open(path);
  const std::span<const std::byte> bytes = file.bytes();
  digest->Add(path.filename().string() + "\n" + std::to_string(bytes.size()) + "\n");
  if (bytes.size() <= kPiece * kPieces) return digest->Add(bytes);
  for (size_t i = 0; i < kPieces; ++i) {
    digest->Add(bytes.subspan((bytes.size() - kPiece) / (kPieces - 1) * i, kPiece));
  }
}

}  // namespace

std::string ModelFingerprint(const fs::path& model) {
  Sha256 digest;
  if (!fs::is_directory(model)) {
    AddFile(model, &digest);
    return digest.FinishHex();
  }
  std::set<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(model)) {
    const fs::path& path = entry.path();
    const bool read = path.extension() == ".safetensors" || path.filename() == "config.json" ||
                      path.filename() == "tokenizer.json";
    if (read && entry.is_regular_file()) files.insert(path);
  }
  for (const fs::path& path : files) AddFile(path, &digest);
  return digest.FinishHex();
}

}  // namespace stocha
