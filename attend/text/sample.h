#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "attend/base/utf8.h"
#include "attend/kernels/random.h"
#include "attend/text/trainer.h"

namespace attend::text {

// Calls f(line) for `wanted` of the lines of `texts`, drawn without replacement, in order (Knuth 3.4.2, algorithm S), ill-encoded ones
// left out; for all where there are no more than that. Stops when f returns false; returns how many lines were drawn by then.
template <class F>
int64_t ForSample(std::span<const Lines> texts, int64_t wanted, uint64_t seed, F&& f) {
  int64_t left = 0, taken = 0;
  for (const Lines& text : texts) left += text.size;
  random::Stream draws(random::RowKey(seed, random::Purpose("text:sample"), 0, 0));
  for (const Lines& text : texts) {
    for (int64_t i = 0; i < text.size; i++, left--) {
      const int64_t open = wanted - taken;
      if (open < left && draws.UniformDouble() * static_cast<double>(left) >= static_cast<double>(open)) continue;
      taken++;
      const std::string_view line = text.line(i);
      if (utf8::Valid(line) && !f(line)) return taken;
    }
  }
  return taken;
}

// Calls `add(line)`, which returns how many bytes more it needs to keep, for `wanted` lines; when that becomes more than `max_bytes`, calls
// `clear()` and starts again with fewer lines. Returns how many lines were drawn in the end.
template <class Add, class Clear>
int64_t ForFittingSample(std::span<const Lines> texts, int64_t wanted, uint64_t seed, size_t max_bytes, Add&& add, Clear&& clear) {
  for (;;) {
    size_t bytes = 0;
    const int64_t taken = ForSample(texts, wanted, seed, [&](std::string_view line) {
      bytes += add(line);
      return bytes <= max_bytes;
    });
    if (bytes <= max_bytes || wanted <= 1) return taken;
    wanted = std::max<int64_t>(1, taken * 19 / 20);
    clear();
  }
}

}  // namespace attend::text
