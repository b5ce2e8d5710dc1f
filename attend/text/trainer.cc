#include "attend/text/trainer.h"

#include <algorithm>
#include <unordered_map>

#include "attend/base/error.h"
#include "attend/base/utf8.h"
#include "attend/text/sample.h"
#include "attend/text/sentencepiece.h"
#include "attend/text/word.h"

namespace attend::text {
namespace {

// sentencepiece takes up to 100 bytes of memory a byte of (distinct) text; more text changes the pieces little.
constexpr size_t kMaxBytes = size_t{16} << 20;
constexpr size_t kMaxItemBytes = 4000;  // sentencepiece passes over longer ones

using Counts = std::unordered_map<std::string, int64_t>;

// By count, the most frequent first, then by bytes.
std::vector<Counted> Sorted(const Counts& counts) {
  std::vector<Counted> out;
  out.reserve(counts.size());
  for (const auto& [text, count] : counts) out.push_back({text, count});
  std::sort(out.begin(), out.end(),
            [](const Counted& a, const Counted& b) { return a.count != b.count ? a.count > b.count : a.text < b.text; });
  return out;
}

Counts Characters(const std::vector<Counted>& items) {
  Counts out;
  for (const Counted& item : items) {
    const std::string_view text = item.text;
    for (size_t i = 0; i < text.size();) {
      const size_t length = utf8::Next(text.substr(i)).length;
      out[std::string(text.substr(i, length))] += item.count;
      i += length;
    }
  }
  return out;
}

// Where to cut an item so that it is short enough: at its last space, or between two characters.
size_t ItemEnd(std::string_view text) {
  if (text.size() <= kMaxItemBytes) return text.size();
  const size_t space = text.rfind(' ', kMaxItemBytes);
  if (space != std::string_view::npos && space > 0) return space;
  size_t end = kMaxItemBytes;
  while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) end--;
  return end;
}

class Trainer {
 public:
  Trainer(const TextOptions& options, std::span<const Lines> texts, uint64_t seed)
      : options_(options), normaliser_(Normaliser::From(options)), texts_(texts), seed_(seed) {
    for (const Lines& text : texts) lines_ += text.size;
  }

  Trained Train() {
    Vocabulary vocabulary;
    switch (options_.tokenizer) {
      case TokenizerKind::bpe:
        vocabulary = TrainSubwords(Sorted(CountWords()));
        break;
      case TokenizerKind::unigram:
        vocabulary = TrainSubwords(CollectLines());
        break;
      case TokenizerKind::word:
        vocabulary = TrainWords();
        break;
      case TokenizerKind::character:
        vocabulary = TrainCharacters();
        break;
    }
    return {MakeTokenizer(options_.tokenizer, normaliser_, std::move(vocabulary), "text"), std::move(notes_)};
  }

 private:
  // Runs `add(normalised line)`, which returns the bytes it needs more, over a sample that fits; `clear` before it starts again.
  template <class Add, class Clear>
  void Collect(Add&& add, Clear&& clear) {
    const int64_t used = ForFittingSample(
        texts_, options_.sample_lines, seed_, kMaxBytes, [&](std::string_view line) { return add(normaliser_.Apply(line).text); }, clear);
    if (used < lines_) Note("the tokenizer learns from " + std::to_string(used) + " of " + std::to_string(lines_) + " lines");
  }

  // BPE looks within words only: their counts say all.
  Counts CountWords() {
    Counts counts;
    Collect(
        [&](std::string_view text) {
          size_t fresh = 0;
          while (!text.empty()) {
            const size_t end = std::min(text.find(' '), ItemEnd(text));
            if (end > 0 && ++counts[std::string(text.substr(0, end))] == 1) fresh += end;
            text.remove_prefix(std::min(text.size(), end + (end < text.size() && text[end] == ' ')));
          }
          return fresh;
        },
        [&] { counts.clear(); });
    return counts;
  }

  // The unigram trainer finds its candidates in running text.
  std::vector<Counted> CollectLines() {
    std::vector<Counted> items;
    Collect(
        [&](std::string_view text) {
          const size_t size = text.size();
          while (!text.empty()) {
            const size_t end = ItemEnd(text);
            if (end > 0) items.push_back({std::string(text.substr(0, end)), 1});
            text.remove_prefix(std::min(text.size(), end + (end < text.size() && text[end] == ' ')));
          }
          return size;
        },
        [&] { items.clear(); });
    return items;
  }

  Vocabulary TrainSubwords(const std::vector<Counted>& items) {
    RequireText(!items.empty());
    const int64_t asked = options_.vocabulary;
    const auto alphabet = static_cast<int64_t>(Characters(items).size());
    double coverage = options_.character_coverage;
    if (coverage != 0 && !(coverage >= 0.98 && coverage <= 1))
      throw UserError("text.character_coverage", "0, or 0.98 to 1", std::to_string(coverage));
    if (coverage == 0) coverage = alphabet <= asked / 4 ? 1 : 0.9995;
    const int64_t needed = alphabet + 1 + kSpecials + (options_.byte_fallback ? kBytes : 0);
    if (coverage == 1 && asked < needed)
      throw UserError("text.vocabulary",
                      "at least " + std::to_string(needed) + ", for the " + std::to_string(alphabet) + " characters of the text",
                      std::to_string(asked));
    Vocabulary vocabulary = ReadSentencePiece(TrainSentencePiece(options_, asked, coverage, items));
    NoteSize(vocabulary);
    return vocabulary;
  }

  Vocabulary TrainWords() {
    Counts counts;
    int64_t total = 0;
    Collect(
        [&](std::string_view text) {
          for (const Word& w : SplitWords(text)) {
            if (w.end - w.begin <= kMaxPieceBytes) counts[WordTokenizer::Key(text.substr(w.begin, w.end - w.begin), w.joins)]++;
            total++;
          }
          return size_t{0};
        },
        [] {});
    RequireText(total > 0);
    Vocabulary vocabulary = Specials();
    vocabulary.joins.assign(kSpecials, 0);
    int64_t known = 0;
    const std::vector<Counted> sorted = Sorted(counts);
    for (const Counted& word : sorted) {
      if (word.count < options_.minimum_count || static_cast<int64_t>(vocabulary.pieces.size()) >= options_.vocabulary) break;
      vocabulary.pieces.push_back(word.text.substr(0, word.text.size() - 1));
      vocabulary.joins.push_back(static_cast<uint8_t>(word.text.back()));
      known += word.count;
    }
    if (known == 0)
      throw UserError("text.minimum_count",
                      "a count that some word reaches (the most frequent: " + std::to_string(sorted.empty() ? 0 : sorted[0].count) + ")",
                      std::to_string(options_.minimum_count));
    NoteSize(vocabulary);
    NoteUnknown(total - known, total, "words");
    return vocabulary;
  }

  Vocabulary TrainCharacters() {
    Counts counts;
    Collect(
        [&](std::string_view text) {
          for (const auto& [c, n] : Characters({{std::string(text), 1}})) counts[c] += n;
          return size_t{0};
        },
        [] {});
    RequireText(!counts.empty());
    Vocabulary vocabulary = Specials();
    int64_t known = 0, total = 0;
    for (const Counted& c : Sorted(counts)) {
      total += c.count;
      if (static_cast<int64_t>(vocabulary.pieces.size()) >= options_.vocabulary) continue;
      vocabulary.pieces.push_back(c.text);
      known += c.count;
    }
    NoteSize(vocabulary);
    NoteUnknown(total - known, total, "characters");
    return vocabulary;
  }

  static Vocabulary Specials() {
    Vocabulary out;
    for (std::string_view name : kSpecialNames) out.pieces.emplace_back(name);
    return out;
  }

  static void RequireText(bool found) {
    if (!found) throw UserError("text", "at least one line of text to learn a vocabulary from", "none");
  }

  void Note(std::string note) { notes_.push_back(std::move(note)); }
  void NoteSize(const Vocabulary& vocabulary) {
    const auto size = static_cast<int64_t>(vocabulary.pieces.size());
    if (size < options_.vocabulary)
      Note("the vocabulary has " + std::to_string(size) + " pieces, not " + std::to_string(options_.vocabulary) + ": the text has no more");
  }
  void NoteUnknown(int64_t unknown, int64_t total, const std::string& what) {
    if (unknown > 0) Note(std::to_string(unknown) + " of " + std::to_string(total) + " " + what + " of the training text are unknown");
  }

  const TextOptions& options_;
  Normaliser normaliser_;
  std::span<const Lines> texts_;
  uint64_t seed_;
  int64_t lines_ = 0;
  std::vector<std::string> notes_;
};

}  // namespace

Trained TrainTokenizer(const TextOptions& options, std::span<const Lines> texts, uint64_t seed) {
  return Trainer(options, texts, seed).Train();
}

}  // namespace attend::text
