#include "attend/metrics/bleu_tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "attend/metrics/unicode.h"

namespace attend::metrics {
namespace {

constexpr Choice kTokenizers[] = {
    {"13a", static_cast<int>(BleuTokenizer::mteval_13a), "mteval-v13a, WMT's standard for languages written with spaces"},
    {"intl", static_cast<int>(BleuTokenizer::intl), "mteval-v14 --international-tokenization: splits at Unicode punctuation and symbols"},
    {"char", static_cast<int>(BleuTokenizer::character), "every character a word; for Japanese and other languages written without spaces"},
    {"none", static_cast<int>(BleuTokenizer::none), "white space only; for text that is tokenised already"},
    {"zh", static_cast<int>(BleuTokenizer::zh), "Chinese characters one by one, the rest as 13a"},
};

constexpr std::string_view kNeedModels[] = {"ja-mecab", "ko-mecab", "spm", "flores101", "flores200", "spBLEU-1K"};

// str.replace: every occurrence, from the left, not overlapping.
std::u32string Replaced(std::u32string_view text, std::u32string_view from, std::u32string_view to) {
  std::u32string out;
  out.reserve(text.size());
  size_t begin = 0;
  for (size_t at; (at = text.find(from, begin)) != std::u32string_view::npos; begin = at + from.size())
    out.append(text.substr(begin, at - begin)).append(to);
  return out.append(text.substr(begin));
}

// Substitutes, like a regular expression's sub, every non-overlapping pair of neighbours (a, b) that matches; emit writes both.
template <class Matches, class Emit>
std::u32string SubstitutedPairs(std::u32string_view text, Matches matches, Emit emit) {
  std::u32string out;
  out.reserve(text.size() + text.size() / 4);
  size_t i = 0;
  while (i < text.size()) {
    if (i + 1 < text.size() && matches(text[i], text[i + 1])) {
      emit(&out, text[i], text[i + 1]);
      i += 2;
    } else {
      out += text[i++];
    }
  }
  return out;
}

void SplitSecond(std::u32string* out, char32_t a, char32_t b) { out->append({a, U' ', b, U' '}); }  // "\1 \2 "
void SplitFirst(std::u32string* out, char32_t a, char32_t b) { out->append({U' ', a, U' ', b}); }   // " \1 \2"

// [\{-\~\[-\` -\&\(-\+\:-\@\/]: ASCII punctuation and symbols but ' , - .
bool IsMtevalSymbol(char32_t c) {
  return (c >= U'{' && c <= U'~') || (c >= U'[' && c <= U'`') || (c >= U' ' && c <= U'&') || (c >= U'(' && c <= U'+') ||
         (c >= U':' && c <= U'@') || c == U'/';
}

bool IsPointOrComma(char32_t c) { return c == U'.' || c == U','; }

// The language-dependent part of mteval-v13a, assuming Western languages: four substitutions, one after the other.
std::u32string SplitWestern(std::u32string_view line) {
  std::u32string text;
  text.reserve(line.size() + line.size() / 4);
  for (const char32_t c : line) {
    if (IsMtevalSymbol(c))
      text.append({U' ', c, U' '});
    else
      text += c;
  }
  text = SubstitutedPairs(
      text, [](char32_t a, char32_t b) { return !IsDigit(a) && IsPointOrComma(b); }, SplitSecond);
  text = SubstitutedPairs(
      text, [](char32_t a, char32_t b) { return IsPointOrComma(a) && !IsDigit(b); }, SplitFirst);
  return SubstitutedPairs(
      text, [](char32_t a, char32_t b) { return IsDigit(a) && b == U'-'; }, SplitSecond);
}

std::u32string Mteval13a(std::u32string_view line) {
  std::u32string text = Replaced(line, U"<skipped>", U"");
  text = Replaced(text, U"-\n", U"");
  text = Replaced(text, U"\n", U" ");
  text = Replaced(text, U"&quot;", U"\"");
  text = Replaced(text, U"&amp;", U"&");
  text = Replaced(text, U"&lt;", U"<");
  text = Replaced(text, U"&gt;", U">");
  return SplitWestern(U" " + text + U" ");
}

std::u32string International(std::u32string_view line) {
  std::u32string text = SubstitutedPairs(
      line, [](char32_t a, char32_t b) { return !IsNumber(a) && IsPunctuation(b); }, SplitSecond);
  text = SubstitutedPairs(
      text, [](char32_t a, char32_t b) { return IsPunctuation(a) && !IsNumber(b); }, SplitFirst);
  std::u32string out;
  for (const char32_t c : text) {
    if (IsSymbol(c))
      out.append({U' ', c, U' '});
    else
      out += c;
  }
  return out;
}

std::u32string Characters(std::u32string_view line) {
  std::u32string out;
  out.reserve(2 * line.size());
  for (const char32_t c : line) out.append({c, U' '});
  return out;
}

struct Range {
  char32_t first, last;
};

// sacreBLEU's table. Two of its entries are written for the supplementary planes (extension B from 20000 to 2A6D6, compatibility
// supplement from 2F800 to 2FA1D) but, as Python reads "\u20000", compare as U+2001 to U+2A6D and U+2F81 to U+2FA1. Published
// scores contain that, so it stands here as it acts: symbols such as → ① are split off, ideographs beyond U+FFFF are not.
constexpr Range kChinese[] = {
    {0x3400, 0x4DB5}, {0x4E00, 0x9FA5}, {0x9FA6, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9},
    {0x2001, 0x2A6D}, {0x2F81, 0x2FA1}, {0xFF00, 0xFFEF}, {0x2E80, 0x2EFF}, {0x3000, 0x303F}, {0x31C0, 0x31EF},
    {0x2F00, 0x2FDF}, {0x2FF0, 0x2FFF}, {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F},
    {0x2600, 0x26FF}, {0x2700, 0x27BF}, {0x3200, 0x32FF}, {0x3300, 0x33FF},
};

std::u32string Chinese(std::u32string_view line) {
  std::u32string text;
  for (const char32_t c : Strip(line)) {
    if (std::any_of(std::begin(kChinese), std::end(kChinese), [c](Range r) { return c >= r.first && c <= r.last; }))
      text.append({U' ', c, U' '});
    else
      text += c;
  }
  return SplitWestern(text);
}

}  // namespace

std::span<const Choice> Choices(BleuTokenizer) { return kTokenizers; }

BleuTokenizer ParseBleuTokenizer(std::string_view part, std::string_view name) {
  if (std::find(std::begin(kNeedModels), std::end(kNeedModels), name) != std::end(kNeedModels))
    throw UserError(part, "one of " + ChoiceList<BleuTokenizer>(),
                    std::string(name) + ", a tokeniser of sacreBLEU whose dictionary or model Attend does not bring");
  return ParseChoice<BleuTokenizer>(part, name);
}

std::u32string Tokenize(BleuTokenizer tokenizer, std::u32string_view line) {
  switch (tokenizer) {
    case BleuTokenizer::mteval_13a:
      return Mteval13a(line);
    case BleuTokenizer::intl:
      return International(line);
    case BleuTokenizer::character:
      return Characters(line);
    case BleuTokenizer::zh:
      return Chinese(line);
    case BleuTokenizer::none:
      break;
  }
  return std::u32string(line);
}

}  // namespace attend::metrics
