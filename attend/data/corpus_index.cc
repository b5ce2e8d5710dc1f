#include "attend/data/corpus_index.h"

#include <string_view>

namespace attend::data {
namespace {

constexpr size_t kBufferedWords = size_t{1} << 16;

}  // namespace

IndexFile::IndexFile(MappedFile file, size_t columns) : file_(std::move(file)), columns_(columns) {}

IndexWriter::IndexWriter(const Path& folder, size_t columns) : file_(TemporaryFile(folder)), columns_(columns) {
  buffer_.reserve(kBufferedWords + columns);
}

void IndexWriter::Append(std::span<const uint64_t> row) {
  buffer_.insert(buffer_.end(), row.begin(), row.end());
  if (buffer_.size() >= kBufferedWords) Flush();
}

void IndexWriter::Flush() {
  const std::string_view bytes(reinterpret_cast<const char*>(buffer_.data()), buffer_.size() * sizeof(uint64_t));
  WriteAt(file_, bytes, written_, "the line index of the corpus (see data.cache)");
  written_ += bytes.size();
  buffer_.clear();
}

IndexFile IndexWriter::Finish() {
  Flush();
  return IndexFile(MappedFile(file_, written_), columns_);
}

}  // namespace attend::data
