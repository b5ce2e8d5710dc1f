#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attend/base/file.h"

namespace attend::data {

// The lines of a text, one after another. A line ends at '\n' or at the end of the text; a '\r' before that is not part of it.
class LineCursor {
 public:
  explicit LineCursor(std::string_view text) : text_(text) {}
  bool Next();
  std::string_view line() const { return line_; }
  size_t offset() const { return offset_; }  // of the line in the text
  int64_t count() const { return count_; }   // of lines so far
  int64_t CountAll();                        // goes to the end

 private:
  std::string_view text_, line_;
  size_t offset_ = 0, next_ = 0;
  int64_t count_ = 0;
};

inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// UTF-8 without a NUL byte.
bool IsCleanText(std::string_view text);
// Nothing but ASCII white space.
bool IsBlank(std::string_view text);

// One column of a corpus: files read as one text, mapped, gzip unpacked, byte order marks left out. Thread-safe.
class TextFiles {
 public:
  // UserError naming `part`: a file that is missing, empty or binary (a NUL byte in its first 64 KiB).
  TextFiles(const std::vector<std::string>& files, const Path& cache, std::string_view part);

  size_t size() const { return texts_.size(); }
  const std::string& name(size_t file) const { return names_[file]; }
  std::string_view text(size_t file) const { return texts_[file]; }
  uint64_t base(size_t file) const { return bases_[file]; }  // of its offsets: the lengths of the files before it
  std::string_view LineAt(uint64_t offset) const;            // of a line's first byte
  void ExpectRandom() const;

 private:
  std::vector<std::string> names_;
  std::vector<MappedFile> files_;
  std::vector<std::string_view> texts_;
  std::vector<uint64_t> bases_;
};

}  // namespace attend::data
