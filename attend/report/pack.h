#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace attend::report {

// How a page carries the weights of one head, (rows, columns), as bytes in base64.
enum class Packing {
  kFloat32,  // as they are: rows * columns little-endian floats
  kSqrt8,    // one byte each: rows little-endian float scales, then rows * columns bytes q; weight = scale * (q / 255)^2
};

struct PackedHead {
  std::string base64;
  double error = 0;  // the largest difference between a weight and what unpacking gives
};

// Under kSqrt8, q is the rounded square root of the weight's share of its row's maximum. Rows keep their sum: weights below a sixtieth
// of the maximum are rounded up or down so that what rounding has added so far is taken back (thousands of tiny weights would otherwise
// all be rounded the same way), and the row's scale takes up what then remains.
PackedHead PackHead(std::span<const float> weights, size_t rows, size_t columns, Packing packing);

std::string Base64(std::span<const unsigned char> bytes);

}  // namespace attend::report
