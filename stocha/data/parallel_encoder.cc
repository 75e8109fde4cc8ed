#include "stocha/data/parallel_encoder.h"

#include <utility>

namespace stocha {

ParallelEncoder::ParallelEncoder(int num_threads, Encode encode, Sink sink)
    : encode_(std::move(encode)), sink_(std::move(sink)) {
  workers_.reserve(static_cast<size_t>(num_threads));
  for (int i = 0; i < num_threads; ++i) workers_.emplace_back([this] { WorkerLoop(); });
}

ParallelEncoder::~ParallelEncoder() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ParallelEncoder::WorkerLoop() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stop_ || next_ < queue_.size(); });
    if (stop_) return;
    Document& document = queue_[next_++];  // push_back and pop_front of others leave it in place
    lock.unlock();
    try {
      document.ids = encode_(document.text, document.name);
    } catch (...) {
      document.error = std::current_exception();
    }
    lock.lock();
    document.done = true;
    done_.notify_one();
  }
}

bool ParallelEncoder::Full() const {
  return queued_bytes_ > kMaxQueuedBytes || queue_.size() > kMaxQueuedDocuments;
}

void ParallelEncoder::Drain(std::unique_lock<std::mutex>& lock,
                            const std::function<bool()>& wait_for) {
  while (!queue_.empty()) {
    if (!queue_.front().done) {
      if (!wait_for()) return;
      done_.wait(lock, [this] { return queue_.front().done; });
    }
    const Document document = std::move(queue_.front());
    queue_.pop_front();
    --next_;
    queued_bytes_ -= document.text.size();
    lock.unlock();
    if (document.error) std::rethrow_exception(document.error);
    sink_(document.ids, document.text.size());
    lock.lock();
  }
}

void ParallelEncoder::Add(std::string text, std::string name) {
  std::unique_lock lock(mutex_);
  queued_bytes_ += text.size();
  queue_.push_back({.text = std::move(text), .name = std::move(name)});
  work_.notify_one();
  Drain(lock, [this] { return Full(); });
}

void ParallelEncoder::Finish() {
  std::unique_lock lock(mutex_);
  Drain(lock, [] { return true; });
}

}  // namespace stocha
