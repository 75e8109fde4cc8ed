#include "stocha/train/torch_setup.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <string>

#include "stocha/base/error.h"
#include "stocha/base/thread_pool.h"

namespace stocha {

int64_t SetUpTorch(const Recipe& recipe) {
  const int64_t threads = recipe.threads > 0 ? recipe.threads : AvailableProcessors();
  at::set_num_threads(static_cast<int>(threads));
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  // A debugging aid of that mode, which costs a pass over every new tensor.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  return threads;
}

void ThrowTorchError(const c10::Error& error) {
  const std::string message = error.what_without_backtrace();
  const bool memory = message.find("can't allocate memory") != std::string::npos;
  throw Error({.where = "torch",
               .what = memory ? "out of memory" : message,
               .hint = memory ? "lower training.micro_batch_size or data.sequence_length" : ""});
}

}  // namespace stocha
