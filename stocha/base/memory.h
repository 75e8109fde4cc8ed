// Memory: how much there is, what this process has, advice on mapped files, and large arrays that
// are aligned and not initialised.
#ifndef STOCHA_BASE_MEMORY_H_
#define STOCHA_BASE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

namespace stocha {

// Bytes that this process may still take without being killed: what the kernel calls available,
// and what its cgroups (v1 or v2) leave, page cache counted as free. INT64_MAX where neither can be
// read.
int64_t AvailableMemory();

// Bytes that this process can have at most, whatever is taken: the machine's memory, and what its
// cgroups (v1 or v2) allow, with the page cache of the files that it reads.
int64_t MemoryLimit();

// What this process has in memory now, and had at most; 0 where Linux does not say.
int64_t ResidentBytes();
int64_t PeakResidentBytes();

// Throws Error, naming `where`, when `bytes` for `what` are more than `available`. A process that
// asks for more gets it at first and is killed later, without a message.
void RequireMemory(int64_t bytes, int64_t available, const std::string& where,
                   const std::string& what);

// What is known of how a mapped file will be read; only advice, which the system may ignore.
void PreferHugePages(std::span<const std::byte> mapped);    // reads as large pages as there are
void ExpectRandomReads(std::span<const std::byte> mapped);  // reads nothing around what is wanted
void ReadAhead(std::span<const std::byte> mapped);  // begins to read what is not in memory yet
void PutOut(std::span<const std::byte> mapped);     // not wanted again soon

// `bytes` bytes at a multiple of 64, not initialised, in huge pages where there are some and the
// size is worth it. Throws std::bad_alloc.
void* AllocateAligned(size_t bytes);

// An owned array of `size` numbers; untouched pages of it cost nothing.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size)
      : data_(static_cast<T*>(AllocateAligned(static_cast<size_t>(size) * sizeof(T)))),
        size_(size) {}

  T* data() const { return data_.get(); }
  int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* data) const { std::free(data); }
  };
  std::unique_ptr<T, Free> data_;
  int64_t size_ = 0;
};

}  // namespace stocha

#endif  // STOCHA_BASE_MEMORY_H_
