#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "attend/config/options.h"
#include "attend/data/stream.h"
#include "attend/metrics/accuracy.h"
#include "attend/metrics/chrf.h"
#include "attend/metrics/entropy.h"
#include "attend/metrics/perplexity.h"
#include "attend/ops/frozen.h"
#include "attend/tasks/fingerprint.h"
#include "attend/tasks/matmul.h"
#include "attend/tasks/run.h"
#include "attend/tasks/task.h"
#include "attend/tasks/translator.h"
#include "attend/train/trainer.h"

namespace attend::tasks::translate {
namespace {

constexpr const char* kExactMatch = "exact match";

// What the trainer knows of translating.
class TranslateTask : public train::Trainable {
 public:
  TranslateTask(const RunOptions& options, Translator& translator, const data::Corpus& valid, train::Progress& progress)
      : options_(options), translator_(translator) {
    const auto sides = translator.Sides();
    const models::Longest longest = translator.Longest();
    for (int64_t e = 0; e < valid.size(); e++) {
      data::Example example = data::EncodeExample({valid.Text(e, 0), valid.Text(e, 1)}, sides, e, 0, 0);
      const auto tokens = [&](size_t side) { return static_cast<int64_t>(example.ids[side].size()) - 1; };
      if (tokens(0) > longest.source || tokens(1) > longest.target) continue;
      lines_.emplace_back(valid.Text(e, 0));
      references_.emplace_back(valid.Text(e, 1));
      examples_.push_back(std::move(example));
    }
    const int64_t left_out = valid.size() - static_cast<int64_t>(lines_.size());
    const std::string what = "more tokens than the model knows positions";
    if (lines_.empty()) throw UserError("data.valid", "lines that the model can take", what + " in each of them");
    if (left_out > 0) progress.Note("validation text: " + std::to_string(left_out) + " lines left out, with " + what);
    const int64_t tokens = std::min<int64_t>(4000, options.train.batch_tokens);  // no more memory than training takes
    batches_ = data::SortedBatches(examples_, sides, {tokens, 0});
  }

  nn::Module& module() override { return translator_.model(); }

  models::LossSum Loss(const data::Batch& batch, nn::Context& context) const override {
    return translator_.model().Loss(batch, {options_.train.label_smoothing, options_.train.guided_alignment, options_.train.coverage_loss},
                                    context);
  }

  train::Validation Validate(models::Workers& workers, int64_t samples) override {
    train::Validation out;
    std::vector<metrics::LogLikelihood> likelihood(batches_.size());
    std::vector<metrics::RowEntropy> entropy(batches_.size());
    workers.Run(static_cast<int64_t>(batches_.size()), [&](int64_t b) {
      const c10::InferenceMode inference;
      nn::Context context;
      context.maps = search::Maps::summed;
      const data::Batch& batch = batches_[static_cast<size_t>(b)];
      const models::LossSum loss = translator_.model().Loss(batch, {}, context);
      likelihood[static_cast<size_t>(b)] = {loss.nll, loss.tokens};
      for (const nn::RecordedMap& map : context.recorded)
        if (map.kind == nn::MapKind::cross && map.aligns) AddEntropy(map, batch, entropy[static_cast<size_t>(b)]);
    });
    metrics::LogLikelihood sum;
    metrics::RowEntropy rows;
    for (const auto& l : likelihood) sum += l;
    for (const auto& e : entropy) rows += e;
    out.perplexity = metrics::Perplexity(sum);
    if (rows.rows > 0) out.attention_entropy = rows.Mean();

    PredictRequest request;
    request.search = options_.search;
    request.search.beam = 1;
    request.search.nbest = 1;
    request.search.sample = false;
    std::vector<std::string> notices, outputs;
    for (const auto& of_line : translator_.Translate(lines_, request, workers, notices)) outputs.push_back(of_line[0].text);
    const std::vector<std::string> references[] = {references_};
    const metrics::BleuOptions bleu;
    metrics::ChrfOptions chrf;
    if (options_.train.metric == metrics::MetricKind::chrf_plus_plus) chrf.word_order = 2;
    out.metrics = {metrics::BleuMetric(metrics::CorpusBleu(outputs, references, bleu), bleu, 1),
                   metrics::ChrfMetric(metrics::CorpusChrf(outputs, references, chrf), chrf, 1),
                   metrics::AccuracyMetric(metrics::ExactMatches(outputs, references_), kExactMatch), metrics::PerplexityMetric(sum)};
    for (const metrics::Metric& m : out.metrics)
      if (m.kind == options_.train.metric) out.selected = m.value;
    const auto n = static_cast<int64_t>(lines_.size());
    for (int64_t i = 0; i < std::min(samples, n); i++) {
      const auto line = static_cast<size_t>(i * n / samples);  // the same lines at every validation, spread over the text
      out.samples.push_back({lines_[line], outputs[line], references_[line]});
    }
    return out;
  }

  data::Metadata ModelMetadata() const override { return MetadataOf(options_); }

 private:
  // Rows of real target tokens alone. map (B, 1, T, S)
  static void AddEntropy(const nn::RecordedMap& map, const data::Batch& batch, metrics::RowEntropy& sum) {
    const at::Tensor weights = map.weights.to(at::kCPU, at::kFloat).contiguous();
    const int64_t steps = weights.size(2), keys = weights.size(3);
    const auto& lengths = batch.ids.at("target").lengths;
    for (int64_t i = 0; i < weights.size(0); i++)
      sum.Add({weights.data_ptr<float>() + i * steps * keys, static_cast<size_t>(lengths[static_cast<size_t>(i)] * keys)}, keys);
  }

  RunOptions options_;
  Translator& translator_;
  std::vector<std::string> lines_, references_;
  std::vector<data::Example> examples_;
  std::vector<data::Batch> batches_;
};

text::Lines Column(const data::Corpus& corpus, int column) {
  return {corpus.size(), [corpus, column](int64_t i) { return corpus.Text(i, column); }};
}

class TranslatorPredictor : public Predictor {
 public:
  TranslatorPredictor(Translator translator, int threads)
      : translator_(std::move(translator)), frozen_(translator_.model().parameters()), workers_(threads) {}

  std::string_view task() const override { return Name(Task::translate); }

  std::vector<std::vector<Output>> Predict(std::span<const std::string> lines, const PredictRequest& request,
                                           std::vector<std::string>& notices) override {
    return translator_.Translate(lines, request, workers_, notices);
  }
  std::vector<Output> Score(std::span<const std::string> lines, std::span<const std::string> references, bool alignments,
                            bool maps) override {
    return translator_.Score(lines, references, alignments, maps, workers_);
  }

  Evaluation Evaluate(std::span<const std::string> lines, std::span<const std::string> references, const EvaluateRequest& request,
                      std::vector<std::string>& notices) override {
    Evaluation out;
    const std::vector<std::string> reference_file[] = {{references.begin(), references.end()}};
    metrics::ChrfOptions chrf;
    chrf.lowercase = request.bleu.lowercase;
    metrics::LogLikelihood likelihood;
    std::vector<std::string> alignments;
    for (const Output& scored : Score(lines, references, !request.gold_alignments.empty(), false)) {
      likelihood += {-scored.log_prob, static_cast<int64_t>(scored.piece_log_probs.size())};
      alignments.push_back(metrics::FormatLinks(scored.alignment));
    }
    PredictRequest predict;
    predict.search = request.search;
    predict.search.nbest = 1;
    for (const auto& of_line : Predict(lines, predict, notices)) out.outputs.push_back(of_line[0].text);
    out.metrics = {metrics::BleuMetric(metrics::CorpusBleu(out.outputs, reference_file, request.bleu), request.bleu, 1),
                   metrics::ChrfMetric(metrics::CorpusChrf(out.outputs, reference_file, chrf), chrf, 1),
                   metrics::PerplexityMetric(likelihood),
                   metrics::AccuracyMetric(metrics::ExactMatches(out.outputs, references), kExactMatch)};
    if (!request.gold_alignments.empty())
      out.metrics.push_back(metrics::AlignmentMetric(metrics::CompareLinks(alignments, request.gold_alignments)));
    return out;
  }

 private:
  Translator translator_;
  ops::FrozenWeights frozen_;
  models::Workers workers_;
};

}  // namespace

bool Train(const TrainRequest& request) {
  const double start = Seconds();
  const RunOptions options = ReadRunOptions(request.source);
  const at::Device device = DeviceOf(request.machine);
  if (!options.data.train.text.empty() || !options.data.valid.text.empty())
    throw UserError("data", "source and target, or tsv, with task translate", "text");
  if (options.data.train.empty())
    throw UserError("data.train", "training text: --data.train.source FILE --data.train.target FILE, or --data.train.tsv FILE", "none");
  if (std::holds_alternative<models::NoEncoderOptions>(options.model.encoder))
    throw UserError("model.encoder", "one that reads the source, rnn or transformer, with task translate", "none");
  if (options.train.metric == metrics::MetricKind::alignment_error_rate || options.train.metric == metrics::MetricKind::bits_per_character)
    throw UserError("train.metric", "bleu, chrf, chrf++, accuracy or perplexity with task translate",
                    std::string(Name(options.train.metric)));
  RunFolder folder(request, options);
  const data::ModelDirectory& directory = folder.directory();
  // The texts are opened before anything is written: bad input leaves nothing behind.
  train::Progress progress(train::Progress::StderrIsTerminal());
  const bool links = options.train.guided_alignment > 0;
  const data::Split split = data::OpenSplit(options.data, static_cast<uint64_t>(options.train.seed), links);
  progress.Note("training text: " + split.train.counts().Summary());
  if (!split.valid)
    throw UserError("data.valid", "a validation text, or more training text to hold one out of",
                    std::to_string(split.train.size()) + " lines");
  progress.Note(split.held_out ? "validation text: " + std::to_string(split.held_out) + " lines held out of the training text"
                               : "validation text: " + split.valid->counts().Summary());
  folder.Open(Fingerprint(options.data, links));

  const int threads = Threads(request.machine);
  at::set_num_threads(threads);
  progress.Note("matrix products: " + ChooseMatrixProducts(options.train.precision));
  const text::Tokenizers tokenizers = PrepareTokenizers(options, folder, progress, [&] {
    const text::Lines source[] = {Column(split.train, 0)}, target[] = {Column(split.train, 1)};
    return text::TrainTokenizers(options.text, source, target, static_cast<uint64_t>(options.train.seed));
  });
  models::Workers workers(threads);
  const auto model = BeginModel(options, folder, tokenizers, workers, progress);

  Translator translator(model, tokenizers, device);
  TranslateTask task(options, translator, *split.valid, progress);
  data::StreamOptions stream;
  stream.size = {options.train.batch_tokens, options.train.batch_sentences};
  stream.max_length = std::min({options.data.max_length, translator.Longest().source, translator.Longest().target});
  stream.window = options.data.window;
  stream.seed = static_cast<uint64_t>(options.train.seed);
  stream.links = links;
  const auto open = [&](data::Position position) {
    return std::make_unique<data::PrefetchedStream>(
        std::make_unique<data::BatchStream>(split.train, translator.Sides(options.text.regularisation), stream, position));
  };
  const train::RunResult result = train::Train(task, options.train, directory, open, workers, progress, Seconds() - start);
  return Conclude(result, options, request.out, start, progress);
}

std::unique_ptr<Predictor> Load(const std::string& model, const Machine& machine) {
  const at::Device device = DeviceOf(machine);
  LoadedModel loaded = LoadModel(model, machine);
  return std::make_unique<TranslatorPredictor>(Translator(loaded.model, loaded.tokenizers, device), Threads(machine));
}

}  // namespace attend::tasks::translate
