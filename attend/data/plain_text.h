#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attend/base/file.h"
#include "attend/data/text_file.h"

namespace attend::data {

// The lines of a text that is read as a whole, in order: files read as one text, mapped. A cheap handle; thread-safe.
class PlainText {
 public:
  struct Line {
    std::string_view text;  // without line end
    bool ended = false;     // a line end follows; false: the text stops here
  };

  // UserError naming `part`: missing, empty or binary files.
  static PlainText Open(const std::vector<std::string>& files, const Path& cache, std::string_view part);
  // The lines of `text`, which must outlive it; a byte order mark at its beginning does not belong to it.
  static PlainText Of(std::string_view text);

  int64_t lines() const { return end_ - begin_; }
  const Line& operator[](int64_t i) const { return (*lines_)[static_cast<size_t>(begin_ + i)]; }
  int64_t characters() const;  // code points, line ends included
  // The text without its last `lines` lines, and these.
  std::pair<PlainText, PlainText> CutOff(int64_t lines) const;

 private:
  std::shared_ptr<const TextFiles> files_;
  std::shared_ptr<const std::vector<Line>> lines_;
  int64_t begin_ = 0, end_ = 0;
};

}  // namespace attend::data
