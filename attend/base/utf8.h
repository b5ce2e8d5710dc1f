#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace attend::utf8 {

// A code point and how many bytes it takes; an ill-encoded byte is U+FFFD of length 1 with `valid` false.
struct CodePoint {
  char32_t value;
  uint32_t length;
  bool valid;
};

// The code point at the start of `text`, which must not be empty. Overlong forms, surrogates, values above U+10FFFF and cut sequences
// are ill-encoded (The Unicode Standard, table 3-7).
CodePoint Next(std::string_view text);

// The first ill-encoded byte, or npos.
size_t FirstInvalid(std::string_view text);
inline bool Valid(std::string_view text) { return FirstInvalid(text) == std::string_view::npos; }

// `code_point` must be a Unicode scalar value.
void Append(char32_t code_point, std::string& out);

// White space that separates words: Unicode White_Space without the no-break spaces.
bool IsSpace(char32_t code_point);

}  // namespace attend::utf8
