#pragma once

#include <cctype>
#include <cstdint>
#include <string>
#include <vector>

#include "attend/data/example.h"
#include "attend/kernels/random.h"

namespace attend::data {

constexpr int32_t kTestEnd = 1, kTestPadding = 0;

// Ids are letters; a word is what blanks separate. With `sampled`, each id is raised by a keyed draw, as subword regularisation would.
inline Side Letters(const std::string& name, bool sampled = false) {
  return {name,
          [sampled](std::string_view text, uint64_t key, std::vector<int32_t>& ids, std::vector<int32_t>* words) {
            random::Stream draws(key);
            int32_t word = -1;
            for (bool inside = false; char c : text) {
              if (c == ' ') {
                inside = false;
                continue;
              }
              if (!inside) word++;
              inside = true;
              ids.push_back(static_cast<unsigned char>(c) + (sampled ? static_cast<int32_t>(draws.Below(100)) * 1000 : 0));
              if (words) words->push_back(word);
            }
          },
          kTestEnd, kTestPadding};
}

inline std::vector<Side> TwoSides(bool sampled = false) { return {Letters("source", sampled), Letters("target", sampled)}; }

}  // namespace attend::data
