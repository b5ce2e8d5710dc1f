#include "attend/text/character.h"

#include "attend/base/utf8.h"

namespace attend::text {

CharacterTokenizer::CharacterTokenizer(Normaliser normaliser, Vocabulary v)
    : Tokenizer(normaliser, std::move(v)), characters_(static_cast<size_t>(size())) {
  for (int32_t id = kSpecials; id < size(); id++) characters_.Insert(utf8::Next(Text(id)).value, id);
}

void CharacterTokenizer::Cut(std::string_view text, const Sampling*, std::vector<Segment>& out) const {
  for (uint32_t i = 0; i < text.size();) {
    const utf8::CodePoint c = utf8::Next(text.substr(i));
    const int32_t id = characters_[c.value];
    out.push_back({id < 0 ? kUnknown : id, i, i + c.length});
    i += c.length;
  }
}

}  // namespace attend::text
