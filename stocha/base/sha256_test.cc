#include "stocha/base/sha256.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace stocha {
namespace {

// The example of FIPS 180-2, appendix B.1.
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(Sha256Hex("abc"), kAbc);
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256Test, PiecesAndFilesGiveTheSame) {
  Sha256 sum;
  sum.Add("a");
  sum.Add(std::as_bytes(std::span(std::string_view("bc"))));
  EXPECT_EQ(sum.FinishHex(), kAbc);
  const std::string path = ::testing::TempDir() + "sha256-" + std::to_string(getpid());
  std::ofstream(path) << "abc";
  EXPECT_EQ(Sha256HexOfFile(path), kAbc);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace stocha
