#pragma once

#include <string>

#include "attend/report/attention_map.h"
#include "attend/report/heads.h"

namespace attend::report {

struct TextOptions {
  int width = 80;       // columns of the terminal, at least 40; wider maps are paged by columns
  bool colour = false;  // ANSI 256 colours
  bool unicode = true;  // block characters and arrows; tokens are UTF-8 either way
  int64_t head = kMeanOfHeads;
};

// What suits the file descriptor: its width and colours where it is a terminal (and NO_COLOR and TERM=dumb are not set), plain text of
// 80 columns elsewhere; block characters under a UTF-8 locale.
TextOptions TextOptionsFor(int file_descriptor);

// Heat maps for reading in a terminal: row tokens on the left, column tokens written downwards, and after each row its heaviest column
// token and that weight. Throws UserError where tokens and weights do not match.
std::string RenderText(const AttentionReport& report, const TextOptions& options = {});
std::string RenderText(const AttentionMap& map, const TextOptions& options = {});

}  // namespace attend::report
