// The alphabet in which byte-level tokenizers spell bytes: printable ASCII and Latin-1 stand for
// themselves, the other 68 bytes are U+0100 and up in order (a space is U+0120). From GPT-2's
// encoder.
#ifndef STOCHA_MODEL_BYTE_ALPHABET_H_
#define STOCHA_MODEL_BYTE_ALPHABET_H_

#include <optional>
#include <string>
#include <string_view>

namespace stocha {

// The bytes that a token spells; nullopt when a character is not of the alphabet.
std::optional<std::string> BytesOfSpelling(std::string_view spelling);

}  // namespace stocha

#endif  // STOCHA_MODEL_BYTE_ALPHABET_H_
