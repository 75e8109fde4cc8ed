#include "stocha/base/thread_pool.h"

#include <gtest/gtest.h>

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

TEST(AvailableProcessorsTest, IsPositive) { EXPECT_GE(AvailableProcessors(), 1); }

}  // namespace
}  // namespace stocha
