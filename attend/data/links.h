#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace attend::data {

// One link between a word of the source and a word of the target, both counted from 0 over the white space separated words.
struct Link {
  int32_t source = 0, target = 0;
  friend bool operator==(const Link&, const Link&) = default;
};

// Reads "0-0 1-2 ..." (source word - target word); nothing is no link. False when the text is anything else.
bool ParseLinks(std::string_view text, std::vector<Link>& links);

// How many words white space separates in valid UTF-8.
int32_t CountWords(std::string_view text);

}  // namespace attend::data
