#include "attend/text/vocabulary.h"

#include <cmath>
#include <cstdio>
#include <unordered_set>

#include "attend/base/error.h"
#include "attend/base/utf8.h"

namespace attend::text {

std::string ByteName(int byte) {
  char name[8];
  std::snprintf(name, sizeof name, "<0x%02X>", byte & 0xFF);
  return name;
}

void Check(TokenizerKind kind, const Vocabulary& v, std::string_view part) {
  const bool subwords = kind == TokenizerKind::bpe || kind == TokenizerKind::unigram;
  const size_t n = v.pieces.size();
  const size_t named = size_t{kSpecials} + (v.bytes ? size_t{kBytes} : 0);
  if (n < named || n > 10'000'000) throw UserError(part, "from " + std::to_string(named) + " to 10000000 pieces", std::to_string(n));
  if (v.bytes && !subwords) throw UserError(part, "byte pieces with bpe and unigram only", std::string(Name(kind)));
  if (v.scores.size() != (subwords ? n : 0))
    throw UserError(part, "one score a piece for bpe and unigram, else none", std::to_string(v.scores.size()));
  if (v.joins.size() != (kind == TokenizerKind::word ? n : 0))
    throw UserError(part, "one entry of joins a piece for word, else none", std::to_string(v.joins.size()));
  for (float score : v.scores)
    if (!std::isfinite(score)) throw UserError(part, "finite scores", std::to_string(score));
  for (uint8_t join : v.joins)
    if (join > (kJoinsLeft | kJoinsRight)) throw UserError(part, "joins from 0 to 3", std::to_string(join));

  std::unordered_set<std::string> seen;
  for (size_t i = 0; i < n; i++) {
    const std::string& piece = v.pieces[i];
    const std::string where = "piece " + std::to_string(i);
    if (i < named) {
      const std::string name = i < kSpecials ? std::string(kSpecialNames[i]) : ByteName(static_cast<int>(i) - kSpecials);
      if (piece != name) throw UserError(part, where + " to be " + name, "another");
      continue;
    }
    if (piece.empty() || piece.size() > kMaxPieceBytes || !utf8::Valid(piece))
      throw UserError(part, where + " to be 1 to " + std::to_string(kMaxPieceBytes) + " bytes of UTF-8",
                      std::to_string(piece.size()) + " bytes");
    if (kind == TokenizerKind::character && utf8::Next(piece).length != piece.size())
      throw UserError(part, where + " to be one character", std::to_string(piece.size()) + " bytes");
    std::string key = piece;
    if (!v.joins.empty()) key += static_cast<char>(v.joins[i]);
    if (!seen.insert(std::move(key)).second) throw UserError(part, "each piece once", where + " for the second time");
  }
}

}  // namespace attend::text
