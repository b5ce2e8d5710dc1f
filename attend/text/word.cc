#include "attend/text/word.h"

#include <utf8proc.h>

#include "attend/base/utf8.h"

namespace attend::text {
namespace {

bool IsDigit(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND; }

bool IsWordCharacter(char32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

// Whether `c` stays inside a word that it follows; `last` and `next` are its neighbours.
bool Continues(char32_t last, char32_t c, char32_t next) {
  if (IsWordCharacter(c)) return true;
  if (c == U'-' || c == U'\u2010' || c == U'\u2011') return IsWordCharacter(last) && IsWordCharacter(next);
  if (c == U'.' || c == U',' || c == U':') return IsDigit(last) && IsDigit(next);
  return c >= 0x80 && utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_CF;  // joiners inside words
}

// The code point at `i`; a space beyond the end.
utf8::CodePoint At(std::string_view text, uint32_t i) {
  return i < text.size() ? utf8::Next(text.substr(i)) : utf8::CodePoint{' ', 0, true};
}

uint32_t WordEnd(std::string_view text, uint32_t i) {
  utf8::CodePoint last = At(text, i);
  for (i += last.length; i < text.size();) {
    const utf8::CodePoint c = At(text, i);
    if (!Continues(last.value, c.value, At(text, i + c.length).value)) break;
    last = c;
    i += c.length;
  }
  return i;
}

uint32_t GraphemeEnd(std::string_view text, uint32_t i) {
  utf8proc_int32_t state = 0;
  utf8::CodePoint last = At(text, i);
  for (i += last.length; i < text.size();) {
    const utf8::CodePoint c = At(text, i);
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last.value), static_cast<utf8proc_int32_t>(c.value), &state)) break;
    last = c;
    i += c.length;
  }
  return i;
}

}  // namespace

std::vector<Word> SplitWords(std::string_view text) {
  std::vector<Word> out;
  bool punctuation_before = false;
  const auto add = [&](uint32_t begin, uint32_t end, bool punctuation) {
    uint8_t joins = 0;
    if (!out.empty() && out.back().end == begin) {
      if (punctuation)
        joins = kJoinsLeft;
      else if (punctuation_before)
        out.back().joins |= kJoinsRight;
    }
    out.push_back({begin, end, joins});
    punctuation_before = punctuation;
  };
  for (uint32_t i = 0; i < text.size();) {
    if (text[i] == ' ') {
      const auto end = static_cast<uint32_t>(std::min(text.find_first_not_of(' ', i), text.size()));
      const bool separates = i > 0 && end < text.size();
      for (i += separates; i < end; i++) add(i, i + 1, true);
      continue;
    }
    const bool word = IsWordCharacter(At(text, i).value);
    const uint32_t end = word ? WordEnd(text, i) : GraphemeEnd(text, i);
    add(i, end, !word);
    i = end;
  }
  return out;
}

WordTokenizer::WordTokenizer(Normaliser normaliser, Vocabulary v) : Tokenizer(normaliser, std::move(v)) {
  ids_.reserve(static_cast<size_t>(size()));
  for (int32_t id = kSpecials; id < size(); id++) ids_.emplace(Key(Text(id), vocabulary().joins[static_cast<size_t>(id)]), id);
}

void WordTokenizer::Cut(std::string_view text, const Sampling*, std::vector<Segment>& out) const {
  for (const Word& w : SplitWords(text)) {
    const auto found = ids_.find(Key(text.substr(w.begin, w.end - w.begin), w.joins));
    out.push_back({found == ids_.end() ? kUnknown : found->second, w.begin, w.end});
  }
}

void WordTokenizer::Join(std::span<const int32_t> ids, UnknownTexts& unknowns, Decoding& out) const {
  bool space = false;  // before the next token, unless it joins
  for (int32_t id : ids) {
    const auto begin = static_cast<uint32_t>(out.text.size());
    if (id == kUnknown || id >= kSpecials) {
      const uint8_t joins = vocabulary().joins[static_cast<size_t>(id)];
      if (space && !(joins & kJoinsLeft)) out.text += ' ';
      out.text += id == kUnknown ? unknowns.Next() : Text(id);
      space = !(joins & kJoinsRight);
    }
    out.ranges.push_back({begin, static_cast<uint32_t>(out.text.size())});
  }
}

}  // namespace attend::text
