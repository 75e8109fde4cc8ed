// Normalization Form C (Unicode Standard Annex 15) as `tokenizers` computes it: of the characters
// of Unicode 9; newer ones stay as they are.
#ifndef STOCHA_MODEL_NFC_H_
#define STOCHA_MODEL_NFC_H_

#include <string>
#include <string_view>

namespace stocha {

// `text` is UTF-8. Time is linear but for sorting marks in a row.
std::string NormalizeNfc(std::string_view text);

}  // namespace stocha

#endif  // STOCHA_MODEL_NFC_H_
