#include "stocha/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace stocha {
namespace {

TEST(ThreadPoolTest, RunsEveryTaskOnce) {
  for (const int threads : {1, 2, 3, 16}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.num_threads(), threads);
    for (const int tasks : {0, 1, 2, 1000}) {
      std::vector<int> runs(tasks, 0);  // one slot a task, so no two threads share one
      pool.ParallelFor(tasks, [&](int task, int thread) {
        ASSERT_LT(thread, threads);
        ++runs[task];
      });
      EXPECT_EQ(runs, std::vector<int>(tasks, 1));
    }
  }
}

TEST(ThreadPoolTest, ManyJobsInARow) {
  ThreadPool pool(4);
  std::atomic<int> total = 0;
  for (int job = 0; job < 2000; ++job) {
    pool.ParallelFor(8, [&](int, int) { total.fetch_add(1, std::memory_order_relaxed); });
  }
  EXPECT_EQ(total, 16000);
}

TEST(ThreadPoolTest, WhatTasksWroteIsSeenAfterwards) {
  ThreadPool pool(2);
  std::vector<int> values(100, 0);
  for (int job = 1; job <= 50; ++job) {
    pool.ParallelFor(100, [&](int task, int) { values[task] += task; });
    for (int i = 0; i < 100; ++i) ASSERT_EQ(values[i], i * job);
  }
}

// More threads than processors, fewer tasks than threads, jobs on each other's heels: a thread that
// comes late must not take a task of the next job, nor be waited for.
TEST(ThreadPoolTest, ManyMoreThreadsThanProcessors) {
  ThreadPool pool(64);
  std::vector<int> values(200, 0);
  for (int job = 1; job <= 300; ++job) {
    const int tasks = 2 + job * 7 % 199;
    pool.ParallelFor(tasks, [&, job](int task, int) { values[task] = job * 1000 + task; });
    for (int i = 0; i < tasks; ++i) ASSERT_EQ(values[i], job * 1000 + i);
  }
}

TEST(ThreadPoolTest, WorkersThatSleepWakeUp) {
  ThreadPool pool(4);
  for (int job = 0; job < 5; ++job) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than they spin
    // Every thread has one: ends only when all have come.
    std::atomic<int> came = 0;
    pool.ParallelFor(4, [&](int, int) {
      ++came;
      while (came != 4) std::this_thread::yield();
    });
    EXPECT_EQ(came, 4);
  }
}

TEST(ThreadPoolTest, TheCallerWaitsForTheLastTask) {
  ThreadPool pool(3);
  for (int job = 0; job < 3; ++job) {
    std::atomic<int> done = 0;
    pool.ParallelFor(3, [&](int task, int) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2 * task));  // one sleeps on it
      ++done;
    });
    EXPECT_EQ(done, 3);
  }
}

TEST(AvailableProcessorsTest, IsPositive) { EXPECT_GE(AvailableProcessors(), 1); }

}  // namespace
}  // namespace stocha
