// For tests: a folder of their own, and the message of what is thrown.
#ifndef STOCHA_MODEL_TESTING_H_
#define STOCHA_MODEL_TESTING_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "stocha/base/error.h"

namespace stocha {

// folder_ is empty at first, and removed at the end.
class FolderTest : public testing::Test {
 protected:
  FolderTest() {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) /
              (std::string("stocha-") + test.test_suite_name() + "-" + test.name() + "-" +
               std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  ~FolderTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

// "" when nothing is thrown.
template <typename Function>
std::string MessageOf(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace stocha

#endif  // STOCHA_MODEL_TESTING_H_
