// A fork-join pool: ParallelFor hands out task indices, the caller works too, and it returns when
// all are done. It waits for tasks, not for threads: one that the system does not run meanwhile
// holds nobody up. Who waits spins briefly, then sleeps, so that an idle pool costs nothing and
// a core that another process shares is not burnt at a barrier.
#ifndef STOCHA_BASE_THREAD_POOL_H_
#define STOCHA_BASE_THREAD_POOL_H_

#include <atomic>
#include <chrono>
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

  // What is left to hand out: the job's number above, the tasks that nobody has claimed below, in
  // one word, so that a thread which comes late cannot claim a task of the job after.
  static constexpr int kJobShift = 32;

  std::vector<std::thread> workers_;
  std::chrono::nanoseconds spin_;  // 0 where threads would spin on each other's processors
  std::atomic<bool> stop_{false};
  // Of the job: read by those alone who claimed a task of it, changed when all are done.
  const Task* task_ = nullptr;
  int num_tasks_ = 0;

  // On cache lines of their own: workers look at job_ while others take tasks.
  alignas(64) std::atomic<uint32_t> job_{0};
  alignas(64) std::atomic<uint64_t> unclaimed_{0};
  alignas(64) std::atomic<int> unfinished_{0};  // tasks
};

// The processors this process may run on (sched_getaffinity and the cgroup's CPU quota), at
// least 1.
int AvailableProcessors();

}  // namespace stocha

#endif  // STOCHA_BASE_THREAD_POOL_H_
