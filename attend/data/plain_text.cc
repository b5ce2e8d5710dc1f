#include "attend/data/plain_text.h"

#include <algorithm>

namespace attend::data {
namespace {

void AddLines(std::string_view text, std::vector<PlainText::Line>& out) {
  LineCursor cursor(text);
  while (cursor.Next()) out.push_back({cursor.line(), text.substr(cursor.offset()).find('\n') != std::string_view::npos});
}

}  // namespace

PlainText PlainText::Open(const std::vector<std::string>& files, const Path& cache, std::string_view part) {
  PlainText out;
  out.files_ = std::make_shared<const TextFiles>(files, cache, part);
  auto lines = std::make_shared<std::vector<Line>>();
  for (size_t file = 0; file < out.files_->size(); file++) AddLines(out.files_->text(file), *lines);
  out.end_ = static_cast<int64_t>(lines->size());
  out.lines_ = std::move(lines);
  return out;
}

PlainText PlainText::Of(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  PlainText out;
  auto lines = std::make_shared<std::vector<Line>>();
  AddLines(text, *lines);
  out.end_ = static_cast<int64_t>(lines->size());
  out.lines_ = std::move(lines);
  return out;
}

int64_t PlainText::characters() const {
  int64_t n = 0;
  for (int64_t i = 0; i < lines(); i++) {
    const Line& line = (*this)[i];
    n += std::count_if(line.text.begin(), line.text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
    n += line.ended;
  }
  return n;
}

std::pair<PlainText, PlainText> PlainText::CutOff(int64_t lines) const {
  std::pair<PlainText, PlainText> out(*this, *this);
  out.first.end_ = out.second.begin_ = std::max(begin_, end_ - lines);
  return out;
}

}  // namespace attend::data
