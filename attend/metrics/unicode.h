#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attend::metrics {

// The reference implementations of the text metrics are Python programs, so a score is defined over Python's strings. These
// functions agree with Python's on every code point; categories are those of the Unicode version of utf8proc (2.8: Unicode 15),
// so that the only characters judged differently are those that Unicode added afterwards. Thread-safe.

// UTF-8 to code points; an ill-encoded byte becomes U+FFFD (sacreBLEU refuses files that contain one).
std::u32string Decode(std::string_view text);

bool IsSpace(char32_t c);        // str.isspace(), no-break spaces too: what str.split() and str.strip() cut at
bool IsPunctuation(char32_t c);  // \p{P}
bool IsSymbol(char32_t c);       // \p{S}
bool IsNumber(char32_t c);       // \p{N}
inline bool IsDigit(char32_t c) { return c >= U'0' && c <= U'9'; }  // [0-9]

std::u32string_view Strip(std::u32string_view text);       // str.strip()
std::u32string_view StripRight(std::u32string_view text);  // str.rstrip()

// str.split(): the words of text, which must outlive them.
std::vector<std::u32string_view> Split(std::u32string_view text);

// str.lower(): Unicode's full lower-casing without language, with İ as i and a combining dot, and final sigma.
std::u32string Lower(std::u32string_view text);

}  // namespace attend::metrics
