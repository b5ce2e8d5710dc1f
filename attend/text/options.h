#pragma once

#include <cstdint>
#include <span>

#include "attend/base/enum.h"

namespace attend::text {

enum class TokenizerKind { bpe, unigram, word, character };

inline std::span<const Choice> Choices(TokenizerKind) {
  static constexpr Choice kChoices[] = {
      {"bpe", 0, "byte-pair encoding (Sennrich et al. 2016): subwords by merging frequent neighbours"},
      {"unigram", 1, "unigram language model (Kudo 2018): the most likely subwords"},
      {"word", 2, "words and punctuation marks; rare words are unknown"},
      {"character", 3, "code points"},
  };
  return kChoices;
}

enum class UnicodeForm { none, nfc, nfkc };

inline std::span<const Choice> Choices(UnicodeForm) {
  static constexpr Choice kChoices[] = {
      {"none", 0, "characters as they are"},
      {"nfc", 1, "canonical composition: one encoding for what looks the same"},
      {"nfkc", 2, "compatibility composition: also full-width letters, ligatures, fractions, ... become plain ones"},
  };
  return kChoices;
}

// How raw lines become pieces. Every option holds for the source and the target side alike: what normalisation changes in the
// target's training text (case, white space, NFKC) the output will not have either.
struct TextOptions {
  TokenizerKind tokenizer = TokenizerKind::bpe;
  int64_t vocabulary = 8000;
  bool shared = true;
  bool lowercase = false;
  UnicodeForm unicode_form = UnicodeForm::nfc;
  bool collapse_spaces = true;
  bool split_digits = true;
  bool byte_fallback = false;
  double character_coverage = 0;
  int64_t minimum_count = 2;
  int64_t sample_lines = 1'000'000;
  double regularisation = 0;

  template <class F>
  static void Declare(F& field) {
    field("tokenizer", &TextOptions::tokenizer, "what the text is cut into");
    field("vocabulary", &TextOptions::vocabulary, "size of the vocabulary; lowered, with a notice, to what a small text allows")
        .Range(16, 1000000)
        .Unit("pieces");
    field("shared", &TextOptions::shared, "one vocabulary for source and target");
    field("lowercase", &TextOptions::lowercase, "lower-case source and target; the output is then lower-case too");
    field("unicode_form", &TextOptions::unicode_form, "Unicode normalisation form of source and target, and so of the output");
    field("collapse_spaces", &TextOptions::collapse_spaces, "one space for any run of white space, none at the ends of a line").Advanced();
    field("split_digits", &TextOptions::split_digits, "bpe, unigram: every digit is a piece of its own").Advanced();
    field("byte_fallback", &TextOptions::byte_fallback, "bpe, unigram: 256 pieces that spell unknown characters; nothing is unknown then")
        .Advanced();
    field("character_coverage", &TextOptions::character_coverage,
          "bpe, unigram: share of the text's characters that become pieces, 0.98 to 1; 0: all, or 0.9995 where all take over a quarter of "
          "the vocabulary")
        .Range(0, 1)
        .Advanced();
    field("minimum_count", &TextOptions::minimum_count, "word: rarer words are unknown").Range(1, 1000000).Unit("occurrences");
    field("sample_lines", &TextOptions::sample_lines, "the tokenizer is trained on at most so many lines, drawn from all")
        .Range(1, 1000000)
        .Unit("lines")
        .Advanced();
    field("regularisation", &TextOptions::regularisation,
          "subword regularisation of training lines (usual: 0.1); bpe: share of merges dropped; unigram: sampled with alpha = 0.02 / value")
        .Range(0, 1);
  }
};

}  // namespace attend::text
