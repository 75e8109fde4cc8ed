// Byte-level BPE from a Hugging Face tokenizer.json: GPT-2, Llama 3, Qwen, SmolLM2 and their kin.
//
// Text -> added tokens cut out -> normalizer (none or NFC) -> pre-tokenizer (regex split, digits,
// byte level) -> merges by rank -> ids. What the file asks for and this code does not do is
// refused.
#ifndef STOCHA_MODEL_TOKENIZER_H_
#define STOCHA_MODEL_TOKENIZER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stocha {

// Immutable after loading and thread-safe.
class Tokenizer {
 public:
  // A tokenizer.json, or the folder that holds one. Throws Error: missing file, broken or too deep
  // JSON, unknown kinds, ids that contradict each other, a pattern that does not compile.
  static Tokenizer FromFile(const std::filesystem::path& path);
  static Tokenizer FromJson(std::string_view json, std::string_view where);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // `text` may hold any bytes; broken UTF-8 counts as U+FFFD. `add_special`: apply the file's
  // post-processor (e.g. <|begin_of_text|> in front). Special tokens written out in the text become
  // their ids either way. Throws Error when a pattern exceeds its match limits.
  std::vector<int32_t> Encode(std::string_view text, bool add_special = true) const;

  // The text of `ids`; `skip_special` leaves special tokens out. Bytes that form no UTF-8 become
  // U+FFFD. Throws Error on an id outside the vocabulary.
  std::string Decode(std::span<const int32_t> ids, bool skip_special = false) const;

  // One past the largest id.
  int32_t vocab_size() const;
  std::optional<int32_t> TokenId(std::string_view token) const;  // as spelled in the file
  // Whether Decode may leave `id` out. Throws Error on an id outside the vocabulary.
  bool IsSpecial(int32_t id) const;
  // The raw bytes that `id` stands for. Throws Error on an id outside the vocabulary.
  std::string_view TokenBytes(int32_t id) const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

// Decodes token by token and never emits half a UTF-8 character: bytes that may still become one
// are held back until they do, or until Finish().
class StreamDecoder {
 public:
  // Borrows `tokenizer`, which must outlive it.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(&tokenizer), skip_special_(skip_special) {}

  std::string Push(int32_t id);
  std::string Finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  std::string pending_;
};

}  // namespace stocha

#endif  // STOCHA_MODEL_TOKENIZER_H_
