#include "attend/text/sentencepiece.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <array>
#include <unordered_map>

#include "attend/base/error.h"
#include "attend/base/utf8.h"

namespace attend::text {
namespace {

constexpr char32_t kSpace = 0x2581;  // sentencepiece's space before a word

// Characters that sentencepiece keeps for itself stand as private ones while it trains.
constexpr std::array<char32_t, 4> kReserved = {0, '\t', kSpace, 0x2585};
constexpr char32_t kPrivate = 0x10FFF0;

// `text` with reserved characters replaced; the private ones themselves cannot be learnt and are left out.
std::string Hide(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const utf8::CodePoint c = utf8::Next(text);
    char32_t value = c.value;
    for (size_t i = 0; i < kReserved.size(); i++)
      if (c.value == kReserved[i]) value = kPrivate + static_cast<char32_t>(i);
    if (c.value < kPrivate || c.value >= kPrivate + kReserved.size()) utf8::Append(value, out);
    text.remove_prefix(c.length);
  }
  return out;
}

std::string Show(std::string_view piece) {
  std::string out;
  while (!piece.empty()) {
    const utf8::CodePoint c = utf8::Next(piece);
    const bool reserved = c.value >= kPrivate && c.value < kPrivate + kReserved.size();
    utf8::Append(reserved ? kReserved[c.value - kPrivate] : c.value == kSpace ? U' ' : c.value, out);
    piece.remove_prefix(c.length);
  }
  return out;
}

// Texts may hold "<unk>" as a word, which sentencepiece would refuse beside a special piece of that name.
std::string HiddenName(int32_t special) {
  std::string name;
  utf8::Append(kPrivate + static_cast<char32_t>(kReserved.size()), name);
  return name + std::to_string(special);
}

// "text TAB count", item by item.
class Items : public sentencepiece::SentenceIterator {
 public:
  explicit Items(const std::vector<Counted>& items) : items_(items) { Read(); }
  bool done() const override { return next_ >= items_.size(); }
  void Next() override {
    next_++;
    Read();
  }
  const std::string& value() const override { return value_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  void Read() {
    if (!done()) value_ = Hide(items_[next_].text) + "\t" + std::to_string(items_[next_].count);
  }
  const std::vector<Counted>& items_;
  size_t next_ = 0;
  std::string value_;
};

}  // namespace

std::string TrainSentencePiece(const TextOptions& options, int64_t vocabulary, double coverage, const std::vector<Counted>& items) {
  const std::unordered_map<std::string, std::string> arguments = {
      {"model_type", std::string(Name(options.tokenizer))},
      {"vocab_size", std::to_string(vocabulary)},
      {"hard_vocab_limit", "false"},  // fewer pieces where the text has no more
      {"character_coverage", std::to_string(coverage)},
      {"byte_fallback", options.byte_fallback ? "true" : "false"},
      {"split_digits", options.split_digits ? "true" : "false"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"add_dummy_prefix", "true"},
      {"input_format", "tsv"},
      {"pad_id", std::to_string(kPad)},
      {"unk_id", std::to_string(kUnknown)},
      {"bos_id", std::to_string(kBos)},
      {"eos_id", std::to_string(kEos)},
      {"pad_piece", HiddenName(kPad)},
      {"unk_piece", HiddenName(kUnknown)},
      {"bos_piece", HiddenName(kBos)},
      {"eos_piece", HiddenName(kEos)},
      {"num_threads", "16"},  // sums are split by it: the same number on every machine, the same pieces
      {"minloglevel", "4"},
  };
  Items iterator(items);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(arguments, &iterator, &model);
  if (!status.ok())
    throw UserError("text", "text that a " + std::string(Name(options.tokenizer)) + " vocabulary can be learnt from", status.message());
  return model;
}

Vocabulary ReadSentencePiece(const std::string& model) {
  sentencepiece::SentencePieceProcessor processor;
  const auto status = processor.LoadFromSerializedProto(model);
  if (!status.ok()) throw SystemError(std::string("[text] sentencepiece cannot read the model that it trained: ") + status.message());
  Vocabulary out;
  for (int id = 0; id < processor.GetPieceSize(); id++) {
    out.pieces.push_back(id < kSpecials ? std::string(kSpecialNames[id]) : Show(processor.IdToPiece(id)));
    out.scores.push_back(processor.GetScore(id));
    out.bytes |= processor.IsByte(id);
  }
  return out;
}

}  // namespace attend::text
