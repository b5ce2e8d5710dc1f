#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attend/text/normaliser.h"
#include "attend/text/options.h"
#include "attend/text/vocabulary.h"

namespace attend::text {

// Where a piece comes from in the raw line.
struct Origin {
  uint32_t begin = 0, end = 0;  // bytes of the raw line, without the white space before a word; of a lone space: that white space
  int32_t word = -1;            // which white-space separated word of the raw line; of a lone space: the word after it; -1: no words
  bool operator==(const Origin&) const = default;
};

// A tokenised line, without start and end symbols.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<Origin> origins;   // one an id
  std::vector<ByteRange> words;  // of the raw line
  int64_t Unknowns() const;      // how many ids are kUnknown
};

// A detokenised line.
struct Decoding {
  std::string text;
  std::vector<ByteRange> ranges;  // one an id: its bytes of `text`, without the space before a word; specials: empty
  std::vector<int32_t> words;     // one an id: which white-space separated word of `text`; of a lone space: the word after it; specials: -1
};

// Cuts raw lines into pieces of a fixed vocabulary and puts them together again: Decode(Encode(line).ids) is the normalised line,
// wherever no piece is unknown. Any bytes are accepted; an ill-encoded byte reads as U+FFFD. All methods are thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  virtual TokenizerKind kind() const = 0;
  const Normaliser& normaliser() const { return normaliser_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  int32_t size() const { return static_cast<int32_t>(vocabulary_.pieces.size()); }

  // The most likely (unigram) or fully merged (BPE) pieces of `line`.
  Encoding Encode(std::string_view line) const { return EncodeSampled(line, 0, 0); }

  // Subword regularisation: other pieces for the same line, drawn under the Philox key `key`. `rate` in [0, 1]; 0: as Encode.
  // BPE: each merge is dropped with probability `rate` at each step (Provilkov et al. 2020). Unigram: drawn from all segmentations with
  // probabilities to the power alpha = 0.02 / rate (Kudo 2018, section 3.3; rates 0.1 and 0.2 are the alphas 0.2 and 0.1 used there).
  // Words and characters have one segmentation only.
  Encoding EncodeSampled(std::string_view line, double rate, uint64_t key) const;

  // Detokenised text; start, end and padding symbols vanish. Throws std::out_of_range for an id outside the vocabulary.
  std::string Decode(std::span<const int32_t> ids) const { return DecodeWithWords(ids).text; }

  // The same, with the place of every id in it. `unknowns`, when given, holds the text of each kUnknown of `ids`, in order (a source
  // word, say); else each is kUnknownText.
  Decoding DecodeWithWords(std::span<const int32_t> ids, std::span<const std::string> unknowns = {}) const;

  // For people to read: a space shows as U+2581, control characters are escaped, a byte is <0xE2>.
  std::string Piece(int32_t id) const;
  // The same of each piece of a tokenised line; an unknown one shows the text it stands for.
  std::vector<std::string> Pieces(std::string_view line, const Encoding& encoding) const;

 protected:
  // A piece of the normalised line, bytes [begin, end).
  struct Segment {
    int32_t id;
    uint32_t begin, end;
  };
  struct Sampling {
    double rate;
    uint64_t key;
  };

  // The texts of the unknown pieces of a line, one after the other.
  class UnknownTexts {
   public:
    explicit UnknownTexts(std::span<const std::string> texts) : texts_(texts) {}
    std::string_view Next() { return next_ < texts_.size() ? std::string_view(texts_[next_++]) : kUnknownText; }

   private:
    std::span<const std::string> texts_;
    size_t next_ = 0;
  };

  Tokenizer(Normaliser normaliser, Vocabulary vocabulary) : normaliser_(normaliser), vocabulary_(std::move(vocabulary)) {}

  const std::string& Text(int32_t id) const { return vocabulary_.pieces[static_cast<size_t>(id)]; }

  // Whether text starts with a space of its own, so that the first word is cut like all others.
  virtual bool leading_space() const = 0;
  // Cuts normalised text; `sampling` null: the one best way.
  virtual void Cut(std::string_view text, const Sampling* sampling, std::vector<Segment>& out) const = 0;
  // Appends the text of `ids` to `out`, and for each id the range it got, with the space before it. Concatenates unless overridden.
  virtual void Join(std::span<const int32_t> ids, UnknownTexts& unknowns, Decoding& out) const;

 private:
  Normaliser normaliser_;
  Vocabulary vocabulary_;
};

// A tokenizer of the vocabulary, which must fit its kind (UserError naming `part`).
std::shared_ptr<const Tokenizer> MakeTokenizer(TokenizerKind kind, Normaliser normaliser, Vocabulary vocabulary, std::string_view part);

}  // namespace attend::text
