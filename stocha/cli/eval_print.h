// The results of stocha eval for a reader.
#ifndef STOCHA_CLI_EVAL_PRINT_H_
#define STOCHA_CLI_EVAL_PRINT_H_

#include <nlohmann/json.hpp>

namespace stocha {

// What RunTask gave, on standard output.
void PrintEvalResult(const nlohmann::ordered_json& result);

}  // namespace stocha

#endif  // STOCHA_CLI_EVAL_PRINT_H_
