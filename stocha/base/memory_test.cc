#include "stocha/base/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "stocha/base/error.h"

namespace stocha {
namespace {

TEST(MemoryTest, SaysHowMuchIsNeededAndHowMuchThereIs) {
  RequireMemory(5, 5, "m", "the model");
  try {
    RequireMemory(2'500'000'000, 1'000'000'000, "models/big", "the model");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(
        std::string(error.what())
            .find("models/big: not enough memory for the model: got 1.00 GB available, expected at "
                  "least 2.50 GB"),
        0)
        << error.what();
  }
}

TEST(MemoryTest, KnowsThatThereIsSome) {
  EXPECT_GT(AvailableMemory(), 1 << 20);
  EXPECT_GE(MemoryLimit(), AvailableMemory());
}

TEST(MemoryTest, CountsWhatTheProcessTouches) {
  constexpr int64_t kSize = 32 << 20;
  const int64_t before = ResidentBytes();
  {
    const Buffer<char> buffer(kSize);
    EXPECT_LT(ResidentBytes(), before + kSize / 2);  // nothing was written to it
    std::fill(buffer.data(), buffer.data() + kSize, 'x');
    EXPECT_GE(ResidentBytes(), before + kSize * 3 / 4);
  }
#ifndef __SANITIZE_ADDRESS__  // which keeps what is freed for a while
  EXPECT_LT(ResidentBytes(), before + kSize / 2);
#endif
  EXPECT_GE(PeakResidentBytes(), before + kSize * 3 / 4);
}

TEST(MemoryTest, BuffersAreAligned) {
  for (const int64_t size : {0, 1, 17, 100'000, 5'000'000}) {
    const Buffer<float> buffer(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0U);
    if (size > 0) buffer.data()[size - 1] = 1;
  }
}

TEST(MemoryTest, AnImpossibleSizeIsBadAlloc) {
  EXPECT_THROW(AllocateAligned(std::numeric_limits<size_t>::max() - 5), std::bad_alloc);
}

}  // namespace
}  // namespace stocha
