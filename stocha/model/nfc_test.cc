#include "stocha/model/nfc.h"

#include <gtest/gtest.h>

namespace stocha {
namespace {

TEST(NfcTest, LeavesNormalTextAlone) {
  for (const char* text : {"", "a", "caf\u00e9 \u4e2d\u6587 \U0001F600", "\u0301", "\uac00"}) {
    EXPECT_EQ(NormalizeNfc(text), text);
  }
}

TEST(NfcTest, Composes) {
  EXPECT_EQ(NormalizeNfc("cafe\u0301s"), "caf\u00e9s");
  EXPECT_EQ(NormalizeNfc("s\u0323\u0307"), "\u1e69");
  EXPECT_EQ(NormalizeNfc("x\u1e0d\u0307y"), "x\u1e0d\u0307y");
}

TEST(NfcTest, OrdersMarksByClassAndKeepsEqualOnes) {
  EXPECT_EQ(NormalizeNfc("q\u0307\u0323"), "q\u0323\u0307");
  EXPECT_EQ(NormalizeNfc("q\u0301\u0308"), "q\u0301\u0308");
  EXPECT_EQ(NormalizeNfc("s\u0307\u0323"), "\u1e69");  // past the mark that does not compose
}

TEST(NfcTest, ReplacesSingletonsAndExclusions) {
  EXPECT_EQ(NormalizeNfc("\u212b"), "\u00c5");        // ANGSTROM SIGN
  EXPECT_EQ(NormalizeNfc("\uf900"), "\u8c48");        // CJK compatibility ideograph
  EXPECT_EQ(NormalizeNfc("\u0958"), "\u0915\u093c");  // never composed again
}

TEST(NfcTest, ComposesHangul) {
  EXPECT_EQ(NormalizeNfc("\u1100\u1161"), "\uac00");
  EXPECT_EQ(NormalizeNfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(NormalizeNfc("\uac00\u11a8"), "\uac01");
  EXPECT_EQ(NormalizeNfc("\uac01\u11a8"), "\uac01\u11a8");
}

TEST(NfcTest, LeavesWhatIsNewerThanUnicode9) {
  EXPECT_EQ(NormalizeNfc("\U00011935\U00011930"), "\U00011935\U00011930");
}

}  // namespace
}  // namespace stocha
