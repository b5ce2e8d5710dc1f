#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "attend/kernels/random.h"
#include "attend/text/trainer.h"
#include "tests/base/sanitized.h"

namespace attend::text {

// Exhaustive loops take every kStride-th step in sanitized builds.
inline constexpr int kStride = kSanitized ? 17 : 1;

inline Lines Of(const std::vector<std::string>& lines) {
  return {static_cast<int64_t>(lines.size()), [&lines](int64_t i) { return std::string_view(lines[static_cast<size_t>(i)]); }};
}

inline Trained Train(const TextOptions& options, const std::vector<std::string>& lines, uint64_t seed = 1) {
  const Lines texts[] = {Of(lines)};
  return TrainTokenizer(options, texts, seed);
}

// Lines of an invented language: a few thousand words of syllables, Zipf-like, with punctuation, capitals and numbers.
inline std::vector<std::string> Invented(int64_t n, uint64_t seed = 1) {
  static const char* const kSyllables[] = {"ka", "lo", "mi", "ter", "sün", "ä", "bro", "né", "gu", "fi", "stra", "o", "ßen", "wu", "i"};
  random::Stream draws(random::RowKey(seed, random::Purpose("tests:invented"), 0, 0));
  std::vector<std::string> lines;
  for (int64_t i = 0; i < n; i++) {
    std::string line;
    const uint32_t words = 3 + draws.Below(12);
    for (uint32_t w = 0; w < words; w++) {
      random::Stream word(1 + draws.Below(1 + draws.Below(2000)));  // skewed to small numbers
      std::string text;
      const uint32_t syllables = 1 + word.Below(4);
      for (uint32_t s = 0; s < syllables; s++) text += kSyllables[word.Below(15)];
      if (w == 0 && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
      if (draws.Below(20) == 0) text = std::to_string(draws.Below(3000));
      line += (w ? (draws.Below(10) == 0 ? ", " : " ") : "") + text;
    }
    lines.push_back(line + (draws.Below(4) ? "." : "?"));
  }
  return lines;
}

// Lines that break careless code.
inline std::vector<std::string> Hostile() {
  using namespace std::string_literals;
  std::vector<std::string> lines = {"",
                                    " ",
                                    "   ",
                                    "\t",
                                    "\t \n\r\f\v",
                                    "a",
                                    " a",
                                    "a ",
                                    "  two  spaces  ",
                                    "tab\there",
                                    "line\nbreak\r\n",
                                    "a\0b"s,
                                    "\0"s,
                                    "\0\0 \0"s,
                                    "\u2581",
                                    "\u2581\u2581 a\u2581b",
                                    "\u2585 \u2585",
                                    "\u00A0no\u00A0break\u202Fspace\u00A0",
                                    "\u3000全角　空白\u3000",
                                    "\uFEFFbom",
                                    "\uFFFD",
                                    "👩‍👩‍👧‍👦 family 🏳️‍🌈",
                                    "👍🏽👍",
                                    "🇩🇪🇫🇷",
                                    "e\u0301 é",
                                    "\u0301leading mark",
                                    " \u0308 mark on a space",
                                    "ȧ\u0323\u0307 a\u0307\u0323",
                                    "שָׁלוֹם עולם",
                                    "בְּרֵאשִׁ֖ית",
                                    "مرحبا بالعالم ﷺ ﷽",
                                    "\u202Eright to left\u202C",
                                    "日本語のテキスト。「引用」",
                                    "ｶﾞｷﾞ ﾊﾟ ＡＢＣ１２３",
                                    "한국어 각 ㄱㅏ ﾡￂ",
                                    "ﬁ ﬂ ﬃ ½ ² … ™ ℃ ①",
                                    "İstanbul ISPARTA ıi ẞ ß ΣΑΣ Ǆ",
                                    "क्षि ক্ষো தொ ෙෝ",
                                    "ไทยไม่มีช่องว่าง",
                                    "<unk> <s> </s> <pad> <0x41> <<unk>>",
                                    "￭ ￭a￭ \uFFED",
                                    "don't \"quote\" (brackets) a-b -- 3.14 1,000 10:30 U.S.A. l'homme ... !?",
                                    "snake_case __x__ #tag @user a/b\\c",
                                    "\x01\x02\x7F\u0085\u200B\u2028x\u2029",
                                    "\U0010FFF0\U0010FFF4 \U0010FFFF \uE000",
                                    "\U0001D400\U0001D7D8",
                                    "x\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309"};
  lines.push_back("long" + std::string(5000, 'z'));
  lines.push_back(std::string(3000, ' ') + "x" + std::string(3000, '.'));
  std::string marks = "a";
  for (int i = 0; i < 300; i++) marks += i % 2 ? "\u0301" : "\u0323";
  lines.push_back(marks);
  return lines;
}

// Any bytes.
inline std::vector<std::string> Noise(int64_t n) {
  random::Stream draws(random::RowKey(7, random::Purpose("tests:noise"), 0, 0));
  static const char* const kParts[] = {" ",    "  ",       "\u2581",       "a", "ß", "\u0301", "日", "👍🏽", "\xE3\x81",
                                       "\xFF", "\xC0\x80", "\xED\xA0\x80", ",", "'", "9",      "ﬁ",  "\t"};
  std::vector<std::string> lines;
  for (int64_t i = 0; i < n; i++) {
    std::string line;
    for (uint32_t parts = draws.Below(20); parts > 0; parts--)
      line += draws.Below(4) ? std::string(kParts[draws.Below(17)]) : std::string(1, static_cast<char>(draws.Below(256)));
    lines.push_back(line);
  }
  return lines;
}

// The lines of a file of the data folder: $ATTEND_DATA, or shared/data beside the sources or a folder above. Empty when there is none.
inline std::vector<std::string> DataLines(const std::string& name) {
  namespace fs = std::filesystem;
  std::vector<fs::path> folders;
  if (const char* data = std::getenv("ATTEND_DATA")) folders.emplace_back(data);
  if (const char* source = std::getenv("ATTEND_SOURCE")) folders.push_back(fs::path(source) / "../shared/data");
  for (fs::path at = fs::current_path();; at = at.parent_path()) {
    folders.push_back(at / "shared/data");
    if (at == at.parent_path()) break;
  }
  folders.emplace_back(fs::path(__FILE__).parent_path() / "../../../shared/data");
  std::vector<std::string> lines;
  for (const fs::path& folder : folders) {
    std::ifstream file(folder / name, std::ios::binary);
    if (!file) continue;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    break;
  }
  return lines;
}

// Multi30k's training text, English and German.
inline const std::vector<std::string>& Multi30k() {
  static const std::vector<std::string> kLines = [] {
    std::vector<std::string> lines = DataLines("multi30k/train.en"), german = DataLines("multi30k/train.de");
    lines.insert(lines.end(), german.begin(), german.end());
    std::vector<std::string> kept;
    for (size_t i = 0; i < lines.size(); i += kStride) kept.push_back(lines[i]);
    return kept;
  }();
  return kLines;
}

#define ATTEND_NEEDS_MULTI30K() \
  if (Multi30k().empty()) GTEST_SKIP() << "no multi30k/train.{en,de} in $ATTEND_DATA or ../shared/data: not compared on real text"

}  // namespace attend::text
