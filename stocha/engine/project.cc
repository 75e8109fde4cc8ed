#include "stocha/engine/project.h"

#include <algorithm>

namespace stocha {
namespace {

// Tasks a thread: enough to even out threads that are held up, few enough that handing them out
// costs nothing. Many vectors are laid out anew for each task.
constexpr int64_t kTasksPerThread = 16;
constexpr int64_t kTasksPerThreadOfMany = 4;
constexpr int64_t kMany = 8;             // vectors
constexpr int64_t kRowGranularity = 32;  // a multiple of every kernel's tile

int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

void Project(std::span<const Projection> projections, const Input& input,
             const KernelTable& kernels, ThreadPool& pool) {
  int64_t rows = 0;
  for (const Projection& projection : projections) rows += projection.matrix->rows;
  const int64_t tasks_per_thread = input.x.count < kMany ? kTasksPerThread : kTasksPerThreadOfMany;
  const int64_t chunk =
      RoundUp(rows / (pool.num_threads() * tasks_per_thread) + 1, kRowGranularity);
  const auto chunks_of = [chunk](const Projection& projection) {
    return static_cast<int>((projection.matrix->rows + chunk - 1) / chunk);
  };
  int tasks = 0;
  for (const Projection& projection : projections) tasks += chunks_of(projection);

  pool.ParallelFor(tasks, [&](int task, int) {
    const Projection* projection = projections.data();
    for (; task >= chunks_of(*projection); ++projection) task -= chunks_of(*projection);
    const Matrix& matrix = *projection->matrix;
    const int64_t first = task * chunk;
    const int64_t count = std::min(chunk, matrix.rows - first);
    float* out = projection->out + first;
    Dot(kernels, matrix, {.count = count, .first = first}, input, out, matrix.rows);
    if (projection->bias == nullptr) return;
    for (int64_t t = 0; t < input.x.count; ++t) {
      for (int64_t r = 0; r < count; ++r) out[t * matrix.rows + r] += projection->bias[first + r];
    }
  });
}

}  // namespace stocha
