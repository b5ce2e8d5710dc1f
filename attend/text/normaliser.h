#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attend/text/options.h"

namespace attend::text {

// Bytes [begin, end) of a line.
struct ByteRange {
  uint32_t begin = 0, end = 0;
  bool operator==(const ByteRange&) const = default;
};

// A normalised line, and for each of its bytes the bytes of the raw line it comes from.
struct Normalised {
  std::string text;
  std::vector<ByteRange> origins;  // one a byte of `text`
};

// Unicode form, case and white space, in this order. Applying it twice changes nothing more, runs of over 32 marks aside.
struct Normaliser {
  UnicodeForm form = UnicodeForm::none;
  bool lowercase = false;
  bool collapse_spaces = true;

  static Normaliser From(const TextOptions& options) { return {options.unicode_form, options.lowercase, options.collapse_spaces}; }

  // With `leading_space`, text that is not empty starts with one more space, from no byte. Lines of 4 GiB and more raise UserError.
  Normalised Apply(std::string_view line, bool leading_space = false) const;
};

// The white-space separated words of a raw line.
std::vector<ByteRange> Words(std::string_view line);

// Finds the words of positions that come in ascending order.
class WordCursor {
 public:
  explicit WordCursor(const std::vector<ByteRange>& words) : words_(words) {}
  // The word that byte `position` lies in, or the first after it, or the last; -1 where there are none.
  int32_t At(uint32_t position) {
    while (next_ + 1 < words_.size() && words_[next_].end <= position) next_++;
    return words_.empty() ? -1 : static_cast<int32_t>(next_);
  }

 private:
  const std::vector<ByteRange>& words_;
  size_t next_ = 0;
};

}  // namespace attend::text
