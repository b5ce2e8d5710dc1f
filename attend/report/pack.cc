#include "attend/report/pack.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace attend::report {
namespace {

void AppendFloat(std::vector<unsigned char>& out, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<unsigned char>(bits >> shift));
}

}  // namespace

PackedHead PackHead(std::span<const float> weights, size_t rows, size_t columns, Packing packing) {
  std::vector<unsigned char> bytes;
  double error = 0;
  if (packing == Packing::kFloat32) {
    bytes.reserve(weights.size() * 4);
    for (const float w : weights) AppendFloat(bytes, w);
  } else {
    std::vector<unsigned char> codes(weights.size());
    bytes.reserve(weights.size() + rows * 4);
    for (size_t r = 0; r < rows; ++r) {
      const auto row = weights.subspan(r * columns, columns);
      const float largest = row.empty() ? 0 : *std::max_element(row.begin(), row.end());
      double sum = 0, shares = 0;
      for (size_t c = 0; c < columns; ++c) {
        const float share = largest > 0 ? row[c] / largest : 0;
        const auto q = static_cast<unsigned char>(std::sqrt(share) * 255 + 0.5f);
        codes[r * columns + c] = q;
        sum += row[c];
        shares += static_cast<double>(q) * q;
      }
      const auto scale = static_cast<float>(shares > 0 ? sum / shares * 65025 : 0);
      for (size_t c = 0; c < columns; ++c) {
        const double q = codes[r * columns + c];
        error = std::max(error, std::abs(scale * q * q / 65025 - row[c]));
      }
      AppendFloat(bytes, scale);
    }
    bytes.insert(bytes.end(), codes.begin(), codes.end());
  }
  return {Base64(bytes), error};
}

std::string Base64(std::span<const unsigned char> bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out((bytes.size() + 2) / 3 * 4, '=');
  size_t o = 0;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < left ? bytes[i + k] : 0u);
    for (size_t k = 0; k <= left; ++k) out[o + k] = kDigits[group >> (18 - 6 * k) & 63];
    o += 4;
  }
  return out;
}

}  // namespace attend::report
