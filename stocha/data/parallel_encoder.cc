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
    Batch& batch = queue_[next_++];  // push_back and pop_front of others leave it in place
    lock.unlock();
    EncodeBatch(&batch);
    lock.lock();
    batch.done = true;
    done_.notify_one();
  }
}

void ParallelEncoder::EncodeBatch(Batch* batch) const {
  try {
    for (Document& document : batch->documents) {
      document.ids = encode_(document.text, document.name);
      ++batch->encoded;
    }
  } catch (...) {
    batch->error = std::current_exception();
  }
}

void ParallelEncoder::Submit() {
  if (filling_.documents.empty()) return;
  const std::lock_guard lock(mutex_);
  queued_bytes_ += filling_.bytes;
  queue_.push_back(std::exchange(filling_, {}));
  work_.notify_one();
}

void ParallelEncoder::Drain(uint64_t max_bytes) {
  while (true) {
    std::unique_lock lock(mutex_);
    if (queue_.empty()) return;
    if (!queue_.front().done) {
      if (queued_bytes_ <= max_bytes) return;
      done_.wait(lock, [this] { return queue_.front().done; });
    }
    const Batch batch = std::move(queue_.front());
    queue_.pop_front();
    --next_;
    queued_bytes_ -= batch.bytes;
    lock.unlock();
    for (size_t i = 0; i < batch.encoded; ++i) {
      sink_(batch.documents[i].ids, batch.documents[i].text.size());
    }
    if (batch.error) std::rethrow_exception(batch.error);
  }
}

void ParallelEncoder::Add(std::string text, std::string name) {
  filling_.bytes += text.size();
  filling_.documents.push_back({.text = std::move(text), .name = std::move(name)});
  if (filling_.bytes < kBatchBytes) return;
  Submit();
  Drain(kMaxQueuedBytes);
}

void ParallelEncoder::Finish() {
  Submit();
  Drain(0);
}

}  // namespace stocha
