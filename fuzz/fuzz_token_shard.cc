// A token shard: opened or refused; every token of an opened one is read or refused.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/data/batch_order.h"
#include "stocha/data/token_shard.h"

namespace {

// False: refused.
bool ReadAll(const std::string& path) {
  try {
    const std::vector<stocha::TokenShard> shards = stocha::OpenShards(std::vector{path});
    std::vector<int32_t> ids(shards[0].size());
    shards[0].Read(0, ids);
    for (const int32_t id : ids) {
      if (id < 0 || static_cast<uint32_t>(id) >= shards[0].vocab_size()) std::abort();
    }
    const stocha::BatchOrder order(shards, 3, 1);
    std::vector<int32_t> window(4);
    for (uint64_t i = 0; i < order.num_windows(); ++i) order.ReadShuffled(i, window);
    return true;
  } catch (const stocha::Error&) {
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Shards are mapped from a file; this one lives in memory.
  const int fd = memfd_create("shard", MFD_CLOEXEC);
  if (fd < 0 || write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
  ReadAll("/proc/self/fd/" + std::to_string(fd));
  close(fd);
  return 0;
}
