#include "stocha/base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>

namespace stocha {
namespace {

// Longer than the gap between two matrix products of one token, shorter than anything a user
// notices.
constexpr std::chrono::microseconds kSpin{50};
constexpr int kPausesPerLook = 16;  // at the clock

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Until done(), or for `limit`; a pause is 10 times as long on some processors as on others.
template <typename Done>
void Spin(std::chrono::nanoseconds limit, const Done& done) {
  if (limit.count() == 0 || done()) return;
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      Pause();
      if (done()) return;
    }
  } while (std::chrono::steady_clock::now() < end);
}

}  // namespace

ThreadPool::ThreadPool(int num_threads)
    : spin_(num_threads > AvailableProcessors() ? std::chrono::nanoseconds(0) : kSpin) {
  for (int thread = 1; thread < num_threads; ++thread) {
    workers_.emplace_back([this, thread] { WorkerLoop(thread); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int num_tasks, const Task& task) {
  if (workers_.empty() || num_tasks <= 1) {
    for (int i = 0; i < num_tasks; ++i) task(i, 0);
    return;
  }
  task_ = &task;
  num_tasks_ = num_tasks;
  unfinished_.store(num_tasks, std::memory_order_relaxed);
  const uint32_t job = job_.load(std::memory_order_relaxed) + 1;
  unclaimed_.store(uint64_t{job} << kJobShift | static_cast<uint32_t>(num_tasks),
                   std::memory_order_release);
  job_.store(job, std::memory_order_release);
  // Of those that sleep, no more than there are tasks for.
  if (static_cast<size_t>(num_tasks) > workers_.size()) {
    job_.notify_all();
  } else {
    for (int i = 1; i < num_tasks; ++i) job_.notify_one();
  }
  RunTasks(0);
  Spin(spin_, [this] { return unfinished_.load(std::memory_order_acquire) == 0; });
  for (int left = 0; (left = unfinished_.load(std::memory_order_acquire)) != 0;) {
    unfinished_.wait(left, std::memory_order_acquire);
  }
}

void ThreadPool::RunTasks(int thread) {
  int finished = 0;
  uint64_t unclaimed = unclaimed_.load(std::memory_order_relaxed);
  while (static_cast<uint32_t>(unclaimed) != 0) {
    if (!unclaimed_.compare_exchange_weak(unclaimed, unclaimed - 1, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      continue;
    }
    (*task_)(num_tasks_ - static_cast<int>(static_cast<uint32_t>(unclaimed)), thread);
    ++finished;
    unclaimed = unclaimed_.load(std::memory_order_relaxed);
  }
  if (finished == 0) return;
  if (unfinished_.fetch_sub(finished, std::memory_order_acq_rel) == finished && thread != 0) {
    unfinished_.notify_one();
  }
}

void ThreadPool::WorkerLoop(int thread) {
  for (uint32_t seen = 0;;) {
    Spin(spin_, [&] { return job_.load(std::memory_order_acquire) != seen; });
    job_.wait(seen, std::memory_order_acquire);
    seen = job_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    RunTasks(thread);
  }
}

int AvailableProcessors() {
  int count = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) count = CPU_COUNT(&set);
  // cgroup v2: "QUOTA PERIOD" in microseconds, or "max PERIOD".
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0;
  double period = 0;
  if (file >> quota >> period && period > 0) {
    count = std::min(count, static_cast<int>(std::lround(quota / period)));
  }
  return std::max(count, 1);
}

}  // namespace stocha
