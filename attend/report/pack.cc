#include "attend/report/pack.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace attend::report {
namespace {

constexpr double kSmall = 32;  // of 255: codes below it are rounded so that the row keeps its sum

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
      double sum = 0, owed = 0, shares = 0;  // in units of scale / 65025
      for (size_t c = 0; c < columns; ++c) {
        const double root = largest > 0 ? std::sqrt(static_cast<double>(row[c]) / largest) * 255 : 0;
        const double q = std::floor(root + 0.5);
        codes[r * columns + c] = static_cast<unsigned char>(q);
        sum += row[c];
        if (root >= kSmall) owed += root * root - q * q;
      }
      for (size_t c = 0; c < columns; ++c) {
        unsigned char& code = codes[r * columns + c];
        const double square = largest > 0 ? static_cast<double>(row[c]) / largest * 65025 : 0;
        if (square > 0 && square < kSmall * kSmall) {
          const double low = std::floor(std::sqrt(square)), step = 2 * low + 1;  // from low^2 to (low + 1)^2
          owed += square - low * low;
          const bool up = owed > step / 2;
          if (up) owed -= step;
          code = static_cast<unsigned char>(low + (up ? 1 : 0));
        }
        shares += static_cast<double>(code) * code;
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
