#include "attend/text/tokenizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "attend/base/utf8.h"
#include "attend/text/bpe.h"
#include "attend/text/character.h"
#include "attend/text/unigram.h"
#include "attend/text/word.h"

namespace attend::text {
namespace {

// Text for people: the space before a word as U+2581, what has no glyph as an escape.
std::string Visible(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const utf8::CodePoint c = utf8::Next(text);
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c.value));
    if (c.value == ' ') {
      out += "\u2581";
    } else if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP) {
      char escape[16];
      std::snprintf(escape, sizeof escape, "\\u%04X", static_cast<unsigned>(c.value));
      out += escape;
    } else {
      utf8::Append(c.value, out);
    }
    text.remove_prefix(c.length);
  }
  return out;
}

// The text that consecutive byte pieces spell; what is not UTF-8 becomes U+FFFD.
std::string Repair(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const utf8::CodePoint c = utf8::Next(bytes);
    utf8::Append(c.value, out);
    bytes.remove_prefix(c.length);
  }
  return out;
}

}  // namespace

int64_t Encoding::Unknowns() const { return std::count(ids.begin(), ids.end(), kUnknown); }

Encoding Tokenizer::EncodeSampled(std::string_view line, double rate, uint64_t key) const {
  const Normalised normal = normaliser_.Apply(line, leading_space());
  const Sampling sampling{rate, key};
  std::vector<Segment> segments;
  segments.reserve(normal.text.size() / 2);
  Cut(normal.text, rate > 0 ? &sampling : nullptr, segments);

  Encoding out;
  out.words = Words(line);
  out.ids.reserve(segments.size());
  out.origins.reserve(segments.size());
  WordCursor cursor(out.words);
  for (const Segment& s : segments) {
    const bool after_space = s.end - s.begin > 1 && normal.text[s.begin] == ' ';
    const ByteRange first = normal.origins[s.begin + after_space], last = normal.origins[s.end - 1];
    out.ids.push_back(s.id);
    out.origins.push_back({first.begin, last.end, cursor.At(first.begin)});
  }
  return out;
}

Decoding Tokenizer::DecodeWithWords(std::span<const int32_t> ids, std::span<const std::string> unknowns) const {
  for (int32_t id : ids)
    if (id < 0 || id >= size()) throw std::out_of_range("an id outside the vocabulary");
  Decoding out;
  out.ranges.reserve(ids.size());
  UnknownTexts texts(unknowns);
  Join(ids, texts, out);
  if (normaliser_.collapse_spaces && !out.text.empty() && out.text.back() == ' ') out.text.pop_back();

  const auto size = static_cast<uint32_t>(out.text.size());
  const std::vector<ByteRange> words = Words(out.text);
  WordCursor cursor(words);
  for (size_t i = 0; i < ids.size(); i++) {
    ByteRange& range = out.ranges[i];
    range = {std::min(range.begin, size), std::min(range.end, size)};
    if (range.end - range.begin > 1 && out.text[range.begin] == ' ') range.begin++;
    const bool special = ids[i] < kSpecials && ids[i] != kUnknown;
    out.words.push_back(special ? -1 : cursor.At(range.begin));
  }
  return out;
}

void Tokenizer::Join(std::span<const int32_t> ids, UnknownTexts& unknowns, Decoding& out) const {
  bool strip = leading_space();  // the first space, which the line did not have
  const auto append = [&](std::string_view text) {
    for (char c : text) {
      const bool skip = c == ' ' && (normaliser_.collapse_spaces ? out.text.empty() || out.text.back() == ' ' : strip);
      strip = false;
      if (!skip) out.text += c;
    }
  };
  const int32_t last_byte = vocabulary_.bytes ? kSpecials + kBytes : kSpecials;
  for (size_t i = 0; i < ids.size();) {
    const auto begin = static_cast<uint32_t>(out.text.size());
    size_t next = i + 1;
    if (ids[i] == kUnknown) {
      append(unknowns.Next());
    } else if (ids[i] >= last_byte) {
      append(Text(ids[i]));
    } else if (ids[i] >= kSpecials) {
      std::string bytes;
      for (next = i; next < ids.size() && ids[next] >= kSpecials && ids[next] < last_byte; next++)
        bytes += static_cast<char>(ids[next] - kSpecials);
      append(Repair(bytes));
    }
    for (; i < next; i++) out.ranges.push_back({begin, static_cast<uint32_t>(out.text.size())});
  }
}

std::string Tokenizer::Piece(int32_t id) const {
  if (id < 0 || id >= size()) throw std::out_of_range("an id outside the vocabulary");
  return Visible(Text(id));
}

std::vector<std::string> Tokenizer::Pieces(std::string_view line, const Encoding& encoding) const {
  std::vector<std::string> out;
  for (size_t i = 0; i < encoding.ids.size(); i++) {
    const Origin& o = encoding.origins[i];
    out.push_back(encoding.ids[i] == kUnknown ? Visible(Repair(line.substr(o.begin, o.end - o.begin))) : Piece(encoding.ids[i]));
  }
  return out;
}

std::shared_ptr<const Tokenizer> MakeTokenizer(TokenizerKind kind, Normaliser normaliser, Vocabulary vocabulary, std::string_view part) {
  Check(kind, vocabulary, part);
  switch (kind) {
    case TokenizerKind::bpe:
      return std::make_shared<BpeTokenizer>(normaliser, std::move(vocabulary));
    case TokenizerKind::unigram:
      return std::make_shared<UnigramTokenizer>(normaliser, std::move(vocabulary));
    case TokenizerKind::word:
      return std::make_shared<WordTokenizer>(normaliser, std::move(vocabulary));
    case TokenizerKind::character:
      return std::make_shared<CharacterTokenizer>(normaliser, std::move(vocabulary));
  }
  throw std::logic_error("a tokenizer kind without a class");
}

}  // namespace attend::text
