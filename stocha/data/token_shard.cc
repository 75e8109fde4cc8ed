#include "stocha/data/token_shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <system_error>

#include "stocha/base/error.h"
#include "stocha/base/sha256.h"

namespace stocha {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "shards are mapped as they are");

constexpr std::array<char, 8> kMagic = {'S', 'T', 'O', 'C', 'H', 'T', 'O', 'K'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kLargestVocabOf2Bytes = 65536;
constexpr uint32_t kLargestVocab = std::numeric_limits<int32_t>::max();  // ids are int32_t
constexpr size_t kBufferBytes = 1 << 20;

struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t token_bytes = 0;
  uint64_t num_tokens = 0;
  uint64_t text_bytes = 0;
  uint32_t vocab_size = 0;
  uint32_t reserved = 0;
  TokenizerDigest tokenizer{};
};
static_assert(sizeof(Header) == 64);

uint32_t TokenBytesOf(uint32_t vocab_size) { return vocab_size <= kLargestVocabOf2Bytes ? 2 : 4; }

[[noreturn]] void ThrowBroken(const std::string& path, std::string what, std::string got,
                              std::string expected) {
  throw Error({.where = path,
               .what = std::move(what),
               .got = std::move(got),
               .expected = std::move(expected),
               .hint = "make it anew with: stocha tokenize"});
}

Header ReadHeader(const std::string& path, std::span<const std::byte> bytes) {
  Header header;
  if (bytes.size() < sizeof(header)) {
    ThrowBroken(path, "no token shard", fmt::format("{} bytes", bytes.size()),
                "a header of 64 bytes");
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kMagic) {
    ThrowBroken(path, "no token shard", std::string(header.magic.data(), kMagic.size()),
                "STOCHTOK");
  }
  if (header.version != kVersion) {
    ThrowBroken(path, "shard version", std::to_string(header.version), std::to_string(kVersion));
  }
  if (header.vocab_size == 0 || header.vocab_size > kLargestVocab ||
      header.token_bytes != TokenBytesOf(header.vocab_size) || header.reserved != 0) {
    ThrowBroken(path, "broken shard header",
                fmt::format("vocab_size {}, {} bytes a token, reserved {}", header.vocab_size,
                            header.token_bytes, header.reserved),
                fmt::format("2 bytes a token up to a vocab_size of 65536, else 4, up to {}",
                            kLargestVocab));
  }
  const uint64_t id_bytes = bytes.size() - sizeof(header);
  if (id_bytes % header.token_bytes != 0 || id_bytes / header.token_bytes != header.num_tokens) {
    ThrowBroken(path, "size contradicts the header", fmt::format("{} bytes of ids", id_bytes),
                fmt::format("{} tokens of {} bytes", header.num_tokens, header.token_bytes));
  }
  return header;
}

template <typename Id>
void CopyIds(const std::byte* from, std::span<int32_t> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    Id id;
    std::memcpy(&id, from + i * sizeof(Id), sizeof(Id));
    out[i] = static_cast<int32_t>(id);
  }
}

// The *.tokens of a folder in name order, or the path itself.
std::vector<fs::path> ShardFiles(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return {path};
  std::vector<fs::path> files;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".tokens") files.push_back(entry->path());
  }
  if (error) throw Error({.where = path.string(), .what = "cannot list: " + error.message()});
  if (files.empty()) {
    throw Error({.where = path.string(),
                 .what = "no token shards in this folder",
                 .expected = "files named *.tokens",
                 .hint = "make them with: stocha tokenize"});
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

TokenizerDigest DigestTokenizer(const fs::path& tokenizer_json) {
  Sha256 sum;
  sum.Add(MappedFile::Open(tokenizer_json).bytes());
  const Sha256::Digest digest = sum.Finish();
  TokenizerDigest first{};
  std::memcpy(first.data(), digest.data(), first.size());
  return first;
}

TokenShard TokenShard::Open(const fs::path& path) {
  TokenShard shard;
  shard.path_ = path.string();
  shard.file_ = MappedFile::Open(path);
  const Header header = ReadHeader(shard.path_, shard.file_.bytes());
  shard.size_ = header.num_tokens;
  shard.text_bytes_ = header.text_bytes;
  shard.vocab_size_ = header.vocab_size;
  shard.token_bytes_ = header.token_bytes;
  shard.tokenizer_ = header.tokenizer;
  return shard;
}

void TokenShard::Read(uint64_t begin, std::span<int32_t> out) const {
  if (begin > size_ || out.size() > size_ - begin) {
    throw Error({.where = path_,
                 .what = "tokens past the end of the shard",
                 .got = fmt::format("{} from {}", out.size(), begin),
                 .expected = fmt::format("within {}", size_)});
  }
  const std::byte* from = file_.bytes().data() + sizeof(Header) + begin * token_bytes_;
  if (token_bytes_ == 2) {
    CopyIds<uint16_t>(from, out);
  } else {
    CopyIds<uint32_t>(from, out);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    if (static_cast<uint32_t>(out[i]) < vocab_size_) continue;
    ThrowBroken(path_, fmt::format("token {} is not in the vocabulary", begin + i),
                std::to_string(static_cast<uint32_t>(out[i])),
                fmt::format("below {}", vocab_size_));
  }
}

TokenShardWriter::TokenShardWriter(const fs::path& path, uint32_t vocab_size,
                                   const TokenizerDigest& tokenizer)
    : path_(path.string()), file_(path), vocab_size_(vocab_size), tokenizer_(tokenizer) {
  buffer_.resize(sizeof(Header));  // filled in by Commit
}

void TokenShardWriter::Append(std::span<const int32_t> ids, uint64_t text_bytes) {
  const uint32_t token_bytes = TokenBytesOf(vocab_size_);
  for (const int32_t id : ids) {
    if (id < 0 || static_cast<uint32_t>(id) >= vocab_size_) {
      throw Error({.where = path_,
                   .what = "a token is not in the vocabulary",
                   .got = std::to_string(id),
                   .expected = fmt::format("0 to {}", vocab_size_ - 1)});
    }
    std::array<std::byte, sizeof(id)> bytes{};
    std::memcpy(bytes.data(), &id, sizeof(id));
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + token_bytes);
    if (buffer_.size() >= kBufferBytes) Flush();
  }
  size_ += ids.size();
  text_bytes_ += text_bytes;
}

void TokenShardWriter::Flush() {
  file_.Write(buffer_);
  buffer_.clear();
}

void TokenShardWriter::Commit() {
  if (size_ == 0) {
    throw Error({.where = path_, .what = "nothing to write", .hint = "the text has no tokens"});
  }
  Flush();
  const Header header{.token_bytes = TokenBytesOf(vocab_size_),
                      .num_tokens = size_,
                      .text_bytes = text_bytes_,
                      .vocab_size = vocab_size_,
                      .tokenizer = tokenizer_};
  file_.WriteAt(0, std::as_bytes(std::span(&header, 1)));
  file_.Commit();
}

std::vector<TokenShard> OpenShards(std::span<const std::string> paths) {
  std::vector<TokenShard> shards;
  std::vector<fs::path> files;
  for (const std::string& path : paths) {
    for (const fs::path& file : ShardFiles(path)) {
      shards.push_back(TokenShard::Open(file));
      files.push_back(file);
    }
  }
  if (shards.empty()) {
    throw Error({.what = "no token shards given", .hint = "make them with: stocha tokenize"});
  }
  for (size_t i = 1; i < shards.size(); ++i) {
    if (shards[i].tokenizer() == shards[0].tokenizer() &&
        shards[i].vocab_size() == shards[0].vocab_size()) {
      continue;
    }
    throw Error(
        {.where = files[i].string(),
         .what = "made with another tokenizer than " + files[0].string(),
         .got = fmt::format("vocab_size {}", shards[i].vocab_size()),
         .expected = fmt::format("vocab_size {}, same tokenizer.json", shards[0].vocab_size()),
         .hint = "tokenize every text with one tokenizer"});
  }
  return shards;
}

}  // namespace stocha
