// Token shards: text already turned into ids, mapped at training time.
//
// File: 8 bytes magic "STOCHTOK", then little-endian uint32 version (1), uint32 bytes a token (2 or
// 4), uint64 number of tokens, uint64 number of bytes of text they came from, uint32 vocab_size,
// uint32 reserved (0), 24 bytes of the tokenizer.json's SHA-256 (its first 192 bits); 64 bytes in
// all, then the ids. Documents follow one another, each ended by the end-of-text id when there is
// one.
#ifndef STOCHA_DATA_TOKEN_SHARD_H_
#define STOCHA_DATA_TOKEN_SHARD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "stocha/base/file.h"

namespace stocha {

using TokenizerDigest = std::array<std::byte, 24>;

// The identity of a tokenizer.json, stored in shards made with it.
TokenizerDigest DigestTokenizer(const std::filesystem::path& tokenizer_json);

// One shard, mapped. Immutable, thread-safe.
class TokenShard {
 public:
  // Throws Error on a file that is no shard, or whose size contradicts its header.
  static TokenShard Open(const std::filesystem::path& path);

  uint64_t size() const { return size_; }  // tokens
  uint64_t text_bytes() const { return text_bytes_; }
  uint32_t vocab_size() const { return vocab_size_; }
  const TokenizerDigest& tokenizer() const { return tokenizer_; }
  // Copies tokens [begin, begin + out.size()). Throws Error when they do not lie within size(), or
  // when an id is none of the vocabulary's (a damaged file).
  void Read(uint64_t begin, std::span<int32_t> out) const;

 private:
  std::string path_;  // for errors
  MappedFile file_;
  uint64_t size_ = 0;
  uint64_t text_bytes_ = 0;
  uint32_t vocab_size_ = 0;
  uint32_t token_bytes_ = 0;
  TokenizerDigest tokenizer_{};
};

// Writes one shard through AtomicFile. 2 bytes a token when vocab_size <= 65536, else 4.
class TokenShardWriter {
 public:
  TokenShardWriter(const std::filesystem::path& path, uint32_t vocab_size,
                   const TokenizerDigest& tokenizer);
  // Throws Error on an id that is not in [0, vocab_size), and on a full disk.
  void Append(std::span<const int32_t> ids, uint64_t text_bytes);
  uint64_t size() const { return size_; }
  void Commit();  // throws Error when nothing was appended

 private:
  void Flush();

  std::string path_;  // for errors
  AtomicFile file_;
  std::vector<std::byte> buffer_;  // ids not yet written
  uint64_t size_ = 0;
  uint64_t text_bytes_ = 0;
  uint32_t vocab_size_;
  TokenizerDigest tokenizer_;
};

// The shards that `paths` name: files, or folders whose *.tokens are taken in name order. Throws
// Error when there are none or when their vocabularies or tokenizers differ.
std::vector<TokenShard> OpenShards(std::span<const std::string> paths);

}  // namespace stocha

#endif  // STOCHA_DATA_TOKEN_SHARD_H_
