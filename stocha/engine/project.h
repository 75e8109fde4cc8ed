// Matrix products of a pass: out = x W^T (+ bias), rows of W split over the threads.
#ifndef STOCHA_ENGINE_PROJECT_H_
#define STOCHA_ENGINE_PROJECT_H_

#include <cstdint>
#include <span>

#include "stocha/base/thread_pool.h"
#include "stocha/engine/matrix.h"
#include "stocha/kernels/kernels.h"

namespace stocha {

struct Projection {
  const Matrix* matrix = nullptr;  // [rows, cols]
  const float* bias = nullptr;     // [rows], or null
  float* out = nullptr;            // [tokens, rows]
};

// All `projections` of the same input, one vector a token, in one round of the pool.
void Project(std::span<const Projection> projections, const Input& input,
             const KernelTable& kernels, ThreadPool& pool);

}  // namespace stocha

#endif  // STOCHA_ENGINE_PROJECT_H_
