// A fork-join pool: ParallelFor hands out task indices, the caller works too, and it returns when
// all are done. Workers spin briefly for the next job, then sleep, so that an idle pool costs
// nothing and a busy machine is not starved by barriers.
#ifndef STOCHA_BASE_THREAD_POOL_H_
#define STOCHA_BASE_THREAD_POOL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace stocha {

class ThreadPool {
 public:
  // task: 0 .. num_tasks - 1; thread: 0 .. num_threads - 1, to pick scratch memory.
  using Task = std::function<void(int task, int thread)>;

  // Starts num_threads - 1 workers (num_threads >= 1; the caller of ParallelFor is thread 0).
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs every task once and waits. Which thread runs which task is not fixed, so results must not
  // depend on it. One caller at a time; a task must not call ParallelFor; a task must not throw.
  void ParallelFor(int num_tasks, const Task& task);

 private:
  void WorkerLoop(int thread);
  void RunTasks(int thread);

  std::vector<std::thread> workers_;
  const Task* task_ = nullptr;  // published by generation_
  int num_tasks_ = 0;           // likewise
  std::atomic<int> next_task_{0};
  std::atomic<int> working_{0};  // workers that have not finished this generation
  std::atomic<uint32_t> generation_{0};
  std::atomic<bool> stop_{false};
};

// The processors this process may run on (sched_getaffinity and the cgroup's CPU quota), at
// least 1.
int AvailableProcessors();

}  // namespace stocha

#endif  // STOCHA_BASE_THREAD_POOL_H_
