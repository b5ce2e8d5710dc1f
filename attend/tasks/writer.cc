#include "attend/tasks/writer.h"

#include <algorithm>

#include "attend/kernels/random.h"
#include "attend/search/grower.h"
#include "attend/tasks/report_maps.h"
#include "attend/train/trainer.h"

namespace attend::tasks {
namespace {

// The start symbol of a text: as if a line had ended before it. Pieces from anywhere in a text hardly ever follow its beginning, so that a
// symbol of its own would hardly ever be seen.
constexpr int32_t kBeginning = text::kEos;
constexpr int64_t kEvaluatedTokens = 4096;  // at once, by all workers: about as much memory as training takes

const search::Symbols kSymbols = {kBeginning, -1, {text::kPad, text::kBos, text::kUnknown}};

// The part of a text that does not change any more: without what stands for an unfinished character at its end.
std::string_view Settled(std::string_view text) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  while (text.ends_with(kReplacement)) text.remove_suffix(kReplacement.size());
  return text;
}

// Tells a growing text token by token: what the text of its last tokens gains by one more.
class Telling {
 public:
  using Write = std::function<void(std::string_view)>;
  // prompt: what is told already. write: null to tell nobody.
  Telling(std::function<std::string(std::span<const int32_t>)> text_of, std::span<const int32_t> prompt, Write write)
      : text_of_(std::move(text_of)), write_(std::move(write)) {
    if (write_) Restart(prompt);
  }

  // ids: those of before and one more; last: with an unfinished character too.
  void Go(std::span<const int32_t> ids, bool last) {
    if (!write_) return;
    const std::string text = text_of_(ids.subspan(from_));
    const std::string_view ready = last || ids.back() == text::kEos ? std::string_view(text) : Settled(text);
    if (ready.size() > told_) {
      write_(ready.substr(told_));
      told_ = ready.size();
    }
    if (ids.size() - from_ >= 2 * kTail && ready.size() == text.size()) Restart(ids);
  }

 private:
  static constexpr size_t kTail = 32;  // enough for what tokens before tell of a token's text, and few to read again

  void Restart(std::span<const int32_t> ids) {
    from_ = ids.size() - std::min(ids.size(), kTail);
    told_ = text_of_(ids.subspan(from_)).size();
  }

  std::function<std::string(std::span<const int32_t>)> text_of_;
  Write write_;
  size_t from_ = 0, told_ = 0;  // the first token that is read again; bytes told of the text from there
};

}  // namespace

data::TokenText Tokens(const data::PlainText& text, const text::Tokenizer& tokenizer) {
  data::TokenText out;
  for (int64_t i = 0; i < text.lines(); i++) {
    const auto ids = tokenizer.Encode(text[i].text).ids;
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    if (text[i].ended) out.ids.push_back(text::kEos);
  }
  out.characters = text.characters();
  return out;
}

Writer::Writer(std::shared_ptr<models::SequenceModel> model, std::shared_ptr<const text::Tokenizer> tokenizer, at::Device device,
               int64_t context, bool carries)
    : model_(std::move(model)), tokenizer_(std::move(tokenizer)), device_(device), context_(context), carries_(carries) {}

std::string Writer::TextOf(std::span<const int32_t> ids) const {
  std::string out;
  while (!ids.empty()) {
    const auto end = std::find(ids.begin(), ids.end(), text::kEos);
    out += tokenizer_->Decode({ids.begin(), end});
    if (end == ids.end()) break;
    out += '\n';
    ids = ids.subspan(static_cast<size_t>(end - ids.begin()) + 1);
  }
  return out;
}

std::string Writer::End(std::string_view text, int64_t tokens) const {
  const std::vector<int32_t> ids = Tokens(data::PlainText::Of(text), *tokenizer_).ids;
  return TextOf(std::span(ids).last(std::min(ids.size(), static_cast<size_t>(tokens))));
}

std::string Writer::Beginning(std::string_view text, int64_t tokens) const {
  const std::vector<int32_t> ids = Tokens(data::PlainText::Of(text), *tokenizer_).ids;
  return TextOf(std::span(ids).first(std::min(ids.size(), static_cast<size_t>(tokens))));
}

Output Writer::Generate(const GenerateRequest& request, const std::function<void(std::string_view)>& write) const {
  std::vector<int32_t> ids = Tokens(data::PlainText::Of(request.prompt), *tokenizer_).ids;
  const size_t prompt = ids.size(), all = prompt + static_cast<size_t>(request.tokens);
  if (request.maps && static_cast<int64_t>(all) > context_)
    throw UserError("show",
                    "a text and its continuation of at most " + std::to_string(context_) + " tokens (data.context), to look at at once",
                    std::to_string(prompt) + " and " + std::to_string(request.tokens));
  data::Batch batch;
  batch.examples = {request.number};
  search::Sampling sampling;
  sampling.temperature = request.temperature;
  sampling.top_k = request.top_k;
  sampling.top_p = request.top_p;
  sampling.row_keys = {
      random::RowKey(static_cast<uint64_t>(request.seed), random::Purpose("generate"), 0, static_cast<uint64_t>(request.number))};

  std::unique_ptr<search::Decoder> decoder;
  std::unique_ptr<search::Grower> grower;
  search::Symbols symbols = kSymbols;
  search::Live live;
  size_t begin = 0, read = 0;  // of the tokens in the decoder's sight; how many of all were read
  size_t past = 0;             // where what attention looks back at begins
  const auto start = [&](size_t from) {
    decoder = model_->Decode(batch, device_);
    symbols.start = from > 0 ? ids[from - 1] : kSymbols.start;
    grower = std::make_unique<search::Grower>(*decoder, symbols, request.maps ? search::Maps::all : search::Maps::none);
    live = {-1, 0, 0};
    begin = past = read = from;
  };
  start(!carries_ && static_cast<int64_t>(prompt) > context_ ? prompt - static_cast<size_t>(context_ / 2) : 0);
  Telling telling([this](std::span<const int32_t> of) { return TextOf(of); }, ids, write);
  Output out;
  while (read < all) {
    if (static_cast<int64_t>(read - past) >= context_) {
      if (carries_) {
        decoder->Forget();
        past = read;
      } else {
        start(read - static_cast<size_t>(context_ / 2));
      }
    }
    const bool known = read < ids.size();
    sampling.position = static_cast<uint32_t>(read);
    live.row = grower->AddRow(live, known ? ids[read] : -1, known ? std::vector<int32_t>{} : kSymbols.never);
    const search::StepResult result = grower->Step(1, sampling);
    if (result.chosen[0] < 0) break;
    if (!known) ids.push_back(result.chosen[0]);
    live = {grower->history().Add(live.node, ids[read], result.chosen_log_probs[0], live.row), live.row,
            live.log_prob + result.chosen_log_probs[0]};
    read++;
    if (!known) telling.Go(ids, read == all);
  }
  const search::Hypothesis found = grower->history().Read(live.node, false, 0, request.maps);
  out.text = TextOf(ids);
  out.log_prob = out.score = found.log_prob;
  out.complete = true;
  for (const int32_t id : std::span(ids).subspan(begin)) out.pieces.push_back(id == text::kEos ? "\\n" : tokenizer_->Piece(id));
  out.piece_log_probs = found.log_probs;
  out.maps = ToReport(found.maps, out.pieces, "\\n", {});
  return out;
}

std::vector<data::Batch> Writer::Windows(const data::TokenText& text, int64_t stride, int64_t rows) const {
  data::TokenStreamOptions options;
  options.rows = rows;
  options.length = context_;
  options.carry = carries_;
  options.before = kBeginning;
  if (stride == 0 || carries_) return data::TokenStream::InOrder(text, options);
  return data::TokenStream::Sliding(text, options, stride);
}

metrics::LogLikelihood Writer::Evaluate(const data::TokenText& text, int64_t stride, int64_t streams, models::Workers& workers) const {
  const int64_t rows = carries_ ? streams : std::max<int64_t>(1, kEvaluatedTokens / context_ / workers.count());
  const std::vector<data::Batch> batches = Windows(text, stride, rows);
  const auto side_by_side = static_cast<int64_t>(batches.at(0).examples.size());  // a short text has fewer streams
  const int64_t parts = carries_ ? std::min<int64_t>(workers.count(), side_by_side) : static_cast<int64_t>(batches.size());
  std::vector<metrics::LogLikelihood> sums(static_cast<size_t>(parts));
  const auto add = [&](const data::Batch& batch, nn::Carried* carried, metrics::LogLikelihood& sum) {
    if (batch.ids.at("target").columns == 0) return;  // all of these rows have ended
    const c10::InferenceMode inference;
    nn::Context context;
    context.device = device_;
    context.examples = batch.examples;
    const models::LossSum loss = model_->Loss(batch, {}, context, carried);
    sum += {loss.nll, loss.tokens};
  };
  workers.Run(parts, [&](int64_t k) {
    metrics::LogLikelihood& sum = sums[static_cast<size_t>(k)];
    if (!carries_) return add(batches[static_cast<size_t>(k)], nullptr, sum);
    nn::Carried carried;
    for (const data::Batch& batch : batches) add(train::Slice(batch, k, parts), &carried, sum);
  });
  metrics::LogLikelihood out;
  for (const auto& sum : sums) out += sum;
  return out;
}

}  // namespace attend::tasks
