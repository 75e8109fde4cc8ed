// How torch is set up for a run, and what its errors become.
#ifndef STOCHA_TRAIN_TORCH_SETUP_H_
#define STOCHA_TRAIN_TORCH_SETUP_H_

#include <c10/util/Exception.h>

#include <cstdint>

#include "stocha/recipe/recipe.h"

namespace stocha {

// Sets the thread count and the deterministic mode, which are the process's. Returns the threads.
int64_t SetUpTorch(const Recipe& recipe);

// Throws torch's own message as an Error, without the C++ stack below it.
[[noreturn]] void ThrowTorchError(const c10::Error& error);

}  // namespace stocha

#endif  // STOCHA_TRAIN_TORCH_SETUP_H_
