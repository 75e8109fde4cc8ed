// Which model an evaluation was of, as a SHA-256 in hexadecimal.
#ifndef STOCHA_EVAL_FINGERPRINT_H_
#define STOCHA_EVAL_FINGERPRINT_H_

#include <filesystem>
#include <string>

namespace stocha {

// Of a model directory or a packed file: names, sizes and, of files that are large, evenly spread
// pieces. Two models of one training run differ in every piece of their weights. Throws Error when
// a file cannot be read.
std::string ModelFingerprint(const std::filesystem::path& model);

}  // namespace stocha

#endif  // STOCHA_EVAL_FINGERPRINT_H_
