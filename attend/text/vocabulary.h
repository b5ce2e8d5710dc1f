#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attend/text/options.h"

namespace attend::text {

// The first four ids of every vocabulary.
inline constexpr int32_t kPad = 0, kUnknown = 1, kBos = 2, kEos = 3, kSpecials = 4;
inline constexpr std::string_view kSpecialNames[kSpecials] = {"<pad>", "<unk>", "<s>", "</s>"};
inline constexpr std::string_view kUnknownText = kSpecialNames[kUnknown];

// What training a tokenizer yields and its file holds.
struct Vocabulary {
  std::vector<std::string> pieces;  // by id; UTF-8; ' ' is the space before a word
  std::vector<float> scores;        // bpe: higher merges first; unigram: log-probability; else empty. One a piece
  std::vector<uint8_t> joins;       // word: kJoinsLeft | kJoinsRight; else empty. One a piece
  bool bytes = false;               // bpe, unigram: ids 4 ... 259 are the bytes 0 ... 255
};

inline constexpr uint8_t kJoinsLeft = 1;   // no space between the token before and this one
inline constexpr uint8_t kJoinsRight = 2;  // nor between this one and the token after
inline constexpr int32_t kBytes = 256;
inline constexpr size_t kMaxPieceBytes = 1024;

// The name of the piece that stands for a byte: "<0xE2>".
std::string ByteName(int byte);

// Whether `vocabulary` is one that a tokenizer of this kind can have. UserError naming `part` when it is not.
void Check(TokenizerKind kind, const Vocabulary& vocabulary, std::string_view part);

}  // namespace attend::text
