// The sizes of a model without its weights: a name, or the numbers.
#ifndef STOCHA_BENCH_SHAPE_H_
#define STOCHA_BENCH_SHAPE_H_

#include <string>
#include <string_view>

#include "stocha/model/config.h"

namespace stocha {

// "llama-3.2-1b", "D,F,L,H,KV,V" ...: a Llama with a tied head and ReLU. Throws UsageError, naming
// `where`, on an unknown name or sizes that do not fit each other.
//
// lm1.5b and lm3b, the paper's models, are published by their number of parameters and tokenizer
// alone: the sizes here are those of Llama 3.2 with as many layers as give that number.
ModelConfig ParseShape(std::string_view text, std::string_view where);

// "llama-3.2-1b, llama-3.2-3b ...".
std::string ShapeNames();

}  // namespace stocha

#endif  // STOCHA_BENCH_SHAPE_H_
