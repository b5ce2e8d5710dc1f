#pragma once

#include <cstdint>
#include <string>

#include "attend/report/attention_map.h"

namespace attend::report {

struct HtmlOptions {
  int64_t exact_weights = 2'000'000;   // pages with at most so many weights carry them as they are, 5.4 bytes each; larger ones with
                                       // 1.4 bytes each and an error that the page states
  int64_t most_weights = 256'000'000;  // more are refused: browsers do not open such a page
};

// One self-contained page that needs no network: styles, script and weights are inline, and its own Content-Security-Policy forbids
// everything else. Throws UserError where tokens and weights do not match or there are too many of them.
std::string RenderHtml(const AttentionReport& report, const HtmlOptions& options = {});

}  // namespace attend::report
