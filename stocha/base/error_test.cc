#include "stocha/base/error.h"

#include <gtest/gtest.h>

namespace stocha {
namespace {

TEST(ErrorTest, JoinsThePartsThatAreThere) {
  const Error whole({.where = "config.json",
                     .what = "bad value of \"head_dim\"",
                     .got = "-3",
                     .expected = "a positive integer",
                     .hint = "correct it"});
  EXPECT_STREQ(
      whole.what(),
      "config.json: bad value of \"head_dim\": got -3, expected a positive integer; correct it");
  EXPECT_STREQ(Error({.what = "cannot open"}).what(), "cannot open");
  EXPECT_STREQ(Error({.where = "x", .got = "1"}).what(), "x: got 1");
}

TEST(ErrorTest, StaysOnOneLine) {
  const Error error({.where = "a\nb", .what = std::string("nul\0 bell\a", 10), .got = "\xFF"});
  EXPECT_STREQ(error.what(), "a\\nb: nul\\x00 bell\\x07: got \\xff");
}

TEST(ErrorTest, TakesAnotherHint) {
  const Error error({.where = "a", .what = "bad"});
  EXPECT_STREQ(Error(error, "leave it out").what(), "a: bad; leave it out");
}

TEST(PrintableTest, CutsLongTextAtACharacter) {
  EXPECT_EQ(Printable("aaaa", 4), "aaaa");
  EXPECT_EQ(Printable("aaaab", 4), "aaaa...");
  EXPECT_EQ(Printable("\xC3\xA9\xC3\xA9", 1), "\xC3\xA9...");
}

TEST(ErrnoMessageTest, Speaks) { EXPECT_EQ(ErrnoMessage(2), "No such file or directory"); }

}  // namespace
}  // namespace stocha
