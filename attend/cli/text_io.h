#pragma once

#include <fstream>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "attend/base/file.h"

namespace attend::cli {

// The lines of a file, or of standard input for "" and "-". A carriage return before a line end is dropped.
class LineReader {
 public:
  LineReader(const std::string& path, std::string_view part);  // UserError naming `part`: cannot be read
  bool Next(std::string& line);

 private:
  std::ifstream file_;
  std::istream& in_;
};

std::vector<std::string> ReadLines(const std::string& path, std::string_view part);
// All of it, byte for byte.
std::string ReadAll(const std::string& path, std::string_view part);

// Where a command's text goes: standard output for "" and "-", else a file, which appears under its name when it is whole; what is no
// regular file (a pipe, a device) is written as it goes. Nothing is left behind without Commit, however the program ends.
class Sink {
 public:
  Sink(const std::string& path, std::string_view part);  // UserError naming `part`: cannot be written
  void Write(std::string_view text);
  void Flush();  // what must be seen now. SystemError: standard output is closed, a full disk
  void Commit();

 private:
  enum class Kind { standard_output, stream, file };
  Kind kind_ = Kind::standard_output;
  Path path_;
  std::ofstream stream_;
  Descriptor pending_;  // a file without a name
  uint64_t size_ = 0;
};

// Flushes standard output. SystemError when not all of it could be written.
void FlushOutput();

}  // namespace attend::cli
