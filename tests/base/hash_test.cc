#include "attend/base/hash.h"

#include <gtest/gtest.h>

namespace attend {
namespace {

// Values of the reference implementation (xxHash 0.8, XXH64, seed 0).
TEST(Hash, EqualsReference) {
  EXPECT_EQ(Hash(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(Hash("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(Hash("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(Hash("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
}

TEST(Hash, PiecesEqualWhole) {
  std::string text;
  for (int i = 0; i < 300; i++) text += static_cast<char>(i * 37);
  for (size_t a = 0; a <= text.size(); a += 7) {
    for (size_t b = a; b <= text.size(); b += 31) {
      Hash64 hash;
      hash.Update(text.substr(0, a));
      hash.Update(text.substr(a, b - a));
      hash.Update(text.substr(b));
      ASSERT_EQ(hash.Digest(), Hash(text)) << a << " " << b;
    }
  }
}

TEST(Hash, Hex) { EXPECT_EQ(Hex(0x0123456789abcdefu), "0123456789abcdef"); }

}  // namespace
}  // namespace attend
