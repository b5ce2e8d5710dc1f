#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attend/text/options.h"
#include "attend/text/tokenizer.h"

namespace attend::text {

// Random access to the raw lines of a text. A view need only live until the next call.
struct Lines {
  int64_t size = 0;
  std::function<std::string_view(int64_t)> line;
};

struct Trained {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<std::string> notes;  // what the user should know, a sentence each: a lowered vocabulary, a smaller sample
};

// Learns a vocabulary from `texts` together: from options.sample_lines lines drawn under `seed` where there are more. Ill-encoded lines
// are passed over. The same arguments give the same tokenizer. Prints nothing. Throws UserError when the texts are empty or the
// vocabulary has no room for their characters.
Trained TrainTokenizer(const TextOptions& options, std::span<const Lines> texts, uint64_t seed);

}  // namespace attend::text
