#include "attend/report/pack.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace attend::report {
namespace {

std::vector<unsigned char> Unbase64(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<unsigned char> out;
  unsigned bits = 0, count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<unsigned>(digits.find(c));
    if ((count += 6) >= 8) out.push_back(static_cast<unsigned char>(bits >> (count -= 8)));
  }
  return out;
}

float FloatAt(const std::vector<unsigned char>& bytes, size_t i) {
  float value;
  std::memcpy(&value, bytes.data() + 4 * i, 4);
  return value;
}

TEST(Pack, Base64IsThatOfRfc4648) {
  const auto encode = [](const std::string& s) { return Base64(std::span(reinterpret_cast<const unsigned char*>(s.data()), s.size())); };
  EXPECT_EQ(encode(""), "");
  EXPECT_EQ(encode("f"), "Zg==");
  EXPECT_EQ(encode("fo"), "Zm8=");
  EXPECT_EQ(encode("foo"), "Zm9v");
  EXPECT_EQ(encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encode("\xff\xfe"), "//4=");
}

TEST(Pack, FloatsAreExact) {
  const std::vector<float> weights = {0.1f, 0.9f, 1e-38f, 1};
  const PackedHead packed = PackHead(weights, 2, 2, Packing::kFloat32);
  const auto bytes = Unbase64(packed.base64);
  EXPECT_EQ(packed.error, 0);
  ASSERT_EQ(bytes.size(), 16u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(FloatAt(bytes, i), weights[i]);
}

// Rows of several shapes: one peak over a floor of thousands, two equal halves, uniform, a geometric fall, nothing.
std::vector<float> Shapes(size_t columns) {
  std::vector<float> out(5 * columns);
  for (size_t c = 0; c < columns; ++c) {
    out[c] = static_cast<float>(c == 7 ? 0.95 : 0.05 / static_cast<double>(columns - 1));
    out[columns + c] = c < 2 ? 0.5f : 0;
    out[2 * columns + c] = static_cast<float>(1.0 / static_cast<double>(columns));
    out[3 * columns + c] = static_cast<float>(std::pow(0.5, static_cast<double>(c + 1)));
  }
  return out;
}

TEST(Pack, BytesKeepTheRowsSumAndStateTheirError) {
  for (const size_t columns : {size_t{8}, size_t{97}, size_t{4096}}) {
    const std::vector<float> weights = Shapes(columns);
    const PackedHead packed = PackHead(weights, 5, columns, Packing::kSqrt8);
    const auto bytes = Unbase64(packed.base64);
    ASSERT_EQ(bytes.size(), 5 * 4 + 5 * columns);
    double worst = 0;
    for (size_t r = 0; r < 5; ++r) {
      double sum = 0, expected = 0;
      for (size_t c = 0; c < columns; ++c) {
        const double q = bytes[20 + r * columns + c], value = FloatAt(bytes, r) * q * q / 65025;
        sum += value;
        expected += weights[r * columns + c];
        worst = std::max(worst, std::abs(value - weights[r * columns + c]));
      }
      EXPECT_NEAR(sum, expected, 1e-6) << "row " << r << " of " << columns << " columns";
    }
    EXPECT_DOUBLE_EQ(packed.error, worst);
    EXPECT_LT(worst, 0.004) << columns;  // half a step at the top: (255^2 - 254.5^2) / 255^2
  }
}

}  // namespace
}  // namespace attend::report
