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

  // Waits while more than kMaxQueuedBytes of text are on their way. Throws what Encode threw for an
  // earlier document, and what the sink throws; the encoder is of no use after that.
  void Add(std::string text, std::string name);
  // Waits for all documents. Throws as Add does.
  void Finish();

  static constexpr uint64_t kMaxQueuedBytes = uint64_t{64} << 20;

 private:
  // Small documents travel together: waking a thread costs more than encoding one.
  static constexpr uint64_t kBatchBytes = uint64_t{1} << 16;

  struct Document {
    std::string text;
    std::string name;
    std::vector<int32_t> ids;
  };
  struct Batch {
    std::vector<Document> documents;
    uint64_t bytes = 0;  // of text
    size_t encoded = 0;  // documents before `error`, or all
    std::exception_ptr error;
    bool done = false;
  };

  void WorkerLoop();
  void EncodeBatch(Batch* batch) const;
  // Queues the batch being filled.
  void Submit();
  // Hands finished batches at the front to the sink; waits for them as long as more than
  // `max_bytes` are queued.
  void Drain(uint64_t max_bytes);

  Encode encode_;
  Sink sink_;
  Batch filling_;  // the caller's thread's
  std::mutex mutex_;
  std::condition_variable work_;  // a batch is to be encoded, or stop_
  std::condition_variable done_;  // a batch is encoded
  std::deque<Batch> queue_;       // guarded by mutex_, as the rest; elements stay where they are
  size_t next_ = 0;               // of queue_, the first that no worker has taken
  uint64_t queued_bytes_ = 0;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace stocha

#endif  // STOCHA_DATA_PARALLEL_ENCODER_H_
