#pragma once

#include <span>
#include <string>
#include <string_view>

#include "attend/base/enum.h"

namespace attend::metrics {

// How BLEU splits a raw line into words.
enum class BleuTokenizer { mteval_13a, intl, character, none, zh };

std::span<const Choice> Choices(BleuTokenizer);

// Throws UserError for any other name; sacreBLEU's further tokenisers (ja-mecab, ko-mecab, spm, …) need dictionaries or models
// that are not part of Attend, and the error says so.
BleuTokenizer ParseBleuTokenizer(std::string_view part, std::string_view name);

// The line with its words separated by white space, ready for Split. The line has been lower-cased before, if at all.
std::u32string Tokenize(BleuTokenizer tokenizer, std::u32string_view line);

}  // namespace attend::metrics
