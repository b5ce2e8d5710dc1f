#include "attend/cli/text_io.h"

#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <iterator>
#include <system_error>

#include "attend/base/error.h"

namespace attend::cli {
namespace {

namespace fs = std::filesystem;

bool IsStandard(const std::string& path) { return path.empty() || path == "-"; }

// Standard input, or `file` opened: any that can be read, a pipe too.
std::istream& Open(const std::string& path, std::string_view part, std::ifstream& file) {
  if (IsStandard(path)) return std::cin;
  std::error_code error;
  if (fs::is_directory(path, error)) throw UserError(part, "a text file", path + ", a folder");
  file.open(path, std::ios::binary);
  if (!file) throw UserError(part, "a file that can be read", path);
  return file;
}

}  // namespace

LineReader::LineReader(const std::string& path, std::string_view part) : in_(Open(path, part, file_)) {}

bool LineReader::Next(std::string& line) {
  if (!std::getline(in_, line)) return false;
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

std::vector<std::string> ReadLines(const std::string& path, std::string_view part) {
  LineReader reader(path, part);
  std::vector<std::string> lines;
  for (std::string line; reader.Next(line);) lines.push_back(std::move(line));
  return lines;
}

std::string ReadAll(const std::string& path, std::string_view part) {
  std::ifstream file;
  std::istream& in = Open(path, part, file);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Sink::Sink(const std::string& path, std::string_view part) {
  if (IsStandard(path)) return;
  std::error_code error;
  const bool exists = fs::exists(path, error);
  path_ = fs::is_regular_file(path, error) ? fs::canonical(path, error) : Path(path);  // a link stays one
  const auto refuse = [&] { throw UserError(part, "a file that can be written", path); };
  if (fs::is_directory(path_, error)) throw UserError(part, "a file that can be written", path + ", a folder");
  if (exists && access(path_.c_str(), W_OK) != 0) refuse();
  if (exists && !fs::is_regular_file(path_, error)) {
    kind_ = Kind::stream;
    stream_.open(path_, std::ios::binary);
    if (!stream_) refuse();
    return;
  }
  kind_ = Kind::file;
  try {
    pending_ = TemporaryFile(path_.has_parent_path() ? path_.parent_path() : Path("."));
  } catch (const SystemError&) {
    refuse();
  }
}

void Sink::Write(std::string_view text) {
  switch (kind_) {
    case Kind::standard_output:
      std::cout << text;
      break;
    case Kind::stream:
      stream_ << text;
      break;
    case Kind::file:
      WriteAt(pending_, text, size_, path_.string());
      size_ += text.size();
      break;
  }
}

void Sink::Flush() {
  if (kind_ == Kind::standard_output) FlushOutput();
  if (kind_ == Kind::stream && !stream_.flush())
    throw SystemError("[output] expected to write " + path_.string() + "; found that it takes no more");
}

void Sink::Commit() {
  Flush();
  if (kind_ == Kind::file) WriteFile(path_, MappedFile(pending_, size_).bytes());
}

void FlushOutput() {
  if (!std::cout.flush()) throw SystemError("[output] expected to write to standard output; found a full disk or a closed pipe");
}

}  // namespace attend::cli
