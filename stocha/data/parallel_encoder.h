// Encodes documents on several threads and hands the ids back in the order the documents came.
#ifndef STOCHA_DATA_PARALLEL_ENCODER_H_
#define STOCHA_DATA_PARALLEL_ENCODER_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace stocha {

class ParallelEncoder {
 public:
  // Called from several threads at once. `name` is the document's, for errors.
  using Encode =
      std::function<std::vector<int32_t>(const std::string& text, const std::string& name)>;
  // Called from within Add and Finish, on the caller's thread, once a document, in order.
  using Sink = std::function<void(std::span<const int32_t> ids, uint64_t text_bytes)>;

  // num_threads >= 1 workers beside the caller's thread.
  ParallelEncoder(int num_threads, Encode encode, Sink sink);
  // Drops what is not encoded yet; waits for the documents at work.
  ~ParallelEncoder();
  ParallelEncoder(const ParallelEncoder&) = delete;
  ParallelEncoder& operator=(const ParallelEncoder&) = delete;

  // Waits while more than kMaxQueuedBytes or kMaxQueuedDocuments are on their way. Throws what
  // Encode threw for an earlier document, and what the sink throws; the encoder is of no use after
  // that.
  void Add(std::string text, std::string name);
  // Waits for all documents. Throws as Add does.
  void Finish();

  static constexpr uint64_t kMaxQueuedBytes = uint64_t{64} << 20;
  static constexpr size_t kMaxQueuedDocuments = 4096;

 private:
  struct Document {
    std::string text;
    std::string name;
    std::vector<int32_t> ids;
    std::exception_ptr error;
    bool done = false;
  };

  void WorkerLoop();
  bool Full() const;
  // Hands the front documents to the sink; waits for them while `wait_for` says so.
  void Drain(std::unique_lock<std::mutex>& lock, const std::function<bool()>& wait_for);

  Encode encode_;
  Sink sink_;
  std::mutex mutex_;
  std::condition_variable work_;  // a document is to be encoded, or stop_
  std::condition_variable done_;  // a document is encoded
  std::deque<Document> queue_;    // guarded by mutex_, as the rest; elements stay where they are
  size_t next_ = 0;               // of queue_, the first that no worker has taken
  uint64_t queued_bytes_ = 0;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace stocha

#endif  // STOCHA_DATA_PARALLEL_ENCODER_H_
