#include <ATen/Parallel.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "attend/data/cache.h"
#include "attend/metrics/perplexity.h"
#include "attend/ops/frozen.h"
#include "attend/tasks/fingerprint.h"
#include "attend/tasks/matmul.h"
#include "attend/tasks/run.h"
#include "attend/tasks/task.h"
#include "attend/tasks/writer.h"

namespace attend::tasks::language_model {
namespace {

constexpr int64_t kSampleTokens = 60, kPromptTokens = 100;  // of an output that validation shows
constexpr int64_t kValidationStreams = 16;

// A recurrent decoder's state goes on from piece to piece; attention alone looks back within a piece.
bool Carries(const RunOptions& options) { return std::holds_alternative<nn::RecurrentDecoderOptions>(options.model.decoder); }

int64_t RowsOf(const RunOptions& options) {
  if (options.train.batch_sentences > 0) return options.train.batch_sentences;
  return std::max<int64_t>(1, options.train.batch_tokens / options.data.context);
}

// The states of all rows of a batch between one piece and the next.
class RowStates {
 public:
  // one: of a single row.
  RowStates(const nn::Carried& one, int64_t rows) {
    for (const at::Tensor& t : one) {
      std::vector<int64_t> shape(t.sizes().begin(), t.sizes().end());
      shape[0] = rows;
      states_.push_back(at::zeros(shape, t.options()));
    }
  }
  // Of these rows, from several threads as long as their rows differ.
  nn::Carried Take(const std::vector<int64_t>& rows) const {
    nn::Carried out;
    for (const at::Tensor& t : states_) out.push_back(t.index_select(0, Index(rows)));
    return out;
  }
  void Put(const std::vector<int64_t>& rows, const nn::Carried& states) const {
    for (size_t i = 0; i < states_.size(); i++)
      for (size_t r = 0; r < rows.size(); r++) states_[i][rows[r]].copy_(states[i][static_cast<int64_t>(r)]);
  }
  train::NamedTensors Named() const {
    train::NamedTensors out;
    for (size_t i = 0; i < states_.size(); i++) out["carried." + std::to_string(i)] = states_[i];
    return out;
  }

 private:
  at::Tensor Index(const std::vector<int64_t>& rows) const { return at::tensor(rows, at::kLong).to(states_[0].device()); }
  nn::Carried states_;
};

// What the trainer knows of foretelling a text.
class LanguageTask : public train::Trainable {
 public:
  LanguageTask(const RunOptions& options, Writer& writer, const data::PlainText& valid)
      : options_(options), writer_(writer), valid_(valid), tokens_(Tokens(valid, writer.tokenizer())) {
    if (tokens_.ids.empty()) throw UserError("data.valid.text", "a text", "nothing in it");
    if (!writer.carries()) return;
    // A pass over one token tells of what the state consists.
    data::Batch batch;
    batch.examples = {0};
    batch.ids["target"] = {1, 1, {text::kEos}, {1}};
    const at::NoGradGuard no_grad;
    nn::Context context;
    nn::Carried carried;
    writer.model().Loss(batch, {}, context, &carried);
    states_.emplace(carried, RowsOf(options));
  }

  nn::Module& module() override { return writer_.model(); }

  models::LossSum Loss(const data::Batch& batch, nn::Context& context) const override {
    const models::LossOptions loss{options_.train.label_smoothing, 0, options_.train.coverage_loss};
    if (!states_) return writer_.model().Loss(batch, loss, context);
    nn::Carried carried;
    if (!batch.begins) carried = states_->Take(batch.examples);
    models::LossSum sum = writer_.model().Loss(batch, loss, context, &carried);
    const at::NoGradGuard no_grad;
    states_->Put(batch.examples, carried);
    return sum;
  }

  train::Validation Validate(models::Workers& workers, int64_t samples) override {
    train::Validation out;
    const metrics::LogLikelihood sum = writer_.Evaluate(tokens_, 0, kValidationStreams, workers);
    out.perplexity = metrics::Perplexity(sum);
    out.metrics = {metrics::PerplexityMetric(sum), metrics::BitsPerCharacterMetric(sum, tokens_.characters)};
    for (const metrics::Metric& m : out.metrics)
      if (m.kind == options_.train.metric) out.selected = m.value;
    samples = std::min(samples, valid_.lines());
    for (int64_t i = 0; i < samples; i++) {
      const int64_t line = i * valid_.lines() / samples;
      GenerateRequest request;
      request.prompt = writer_.End(std::string(valid_[line].text) + (valid_[line].ended ? "\n" : ""), kPromptTokens);
      request.tokens = kSampleTokens;
      request.temperature = 0.8;
      request.seed = options_.train.seed;
      request.number = i;
      std::string output;
      writer_.Generate(request, [&output](std::string_view text) { output += text; });
      out.samples.push_back(
          {request.prompt, output, line + 1 < valid_.lines() ? writer_.Beginning(valid_[line + 1].text, kPromptTokens) : ""});
    }
    return out;
  }

  data::Metadata ModelMetadata() const override { return MetadataOf(options_); }
  train::NamedTensors State() override { return states_ ? states_->Named() : train::NamedTensors(); }

 private:
  RunOptions options_;
  Writer& writer_;
  data::PlainText valid_;
  data::TokenText tokens_;
  std::optional<RowStates> states_;
};

class LanguagePredictor : public Predictor {
 public:
  LanguagePredictor(Writer writer, int threads) : writer_(std::move(writer)), frozen_(writer_.model().parameters()), workers_(threads) {}

  std::string_view task() const override { return Name(Task::language_model); }
  bool continues() const override { return true; }

  Output Generate(const GenerateRequest& request, const std::function<void(std::string_view)>& write) override {
    Output out;
    workers_.Run(
        1, [&](int64_t) { out = writer_.Generate(request, write); }, /*shared=*/true);
    return out;
  }

  std::vector<metrics::Metric> EvaluateText(std::string_view text) override {
    const data::TokenText tokens = Tokens(data::PlainText::Of(text), writer_.tokenizer());
    if (tokens.ids.empty()) throw UserError("evaluate", "a text", "nothing in it");
    std::vector<metrics::Metric> out;
    const auto add = [&](const metrics::LogLikelihood& sum, const std::string& how) {
      out.push_back(metrics::PerplexityMetric(sum));
      out.push_back(metrics::BitsPerCharacterMetric(sum, tokens.characters));
      for (size_t i = out.size() - 2; i < out.size(); i++) out[i].signature = how;
    };
    const std::string context = std::to_string(writer_.context());
    if (writer_.carries()) {
      add(writer_.Evaluate(tokens, 0, 1, workers_), "state:carried");
    } else {
      const int64_t stride = std::max<int64_t>(1, writer_.context() / 2);
      add(writer_.Evaluate(tokens, stride, 1, workers_), "window:" + context + "|stride:" + std::to_string(stride));
      add(writer_.Evaluate(tokens, 0, 1, workers_), "pieces:" + context);
    }
    return out;
  }

 private:
  Writer writer_;
  ops::FrozenWeights frozen_;
  models::Workers workers_;
};

void Check(const RunOptions& options) {
  if (!std::holds_alternative<models::NoEncoderOptions>(options.model.encoder))
    throw UserError("model.encoder", "none with task language_model", "an encoder");
  if (options.data.train.text.empty()) throw UserError("data.train.text", "training text: --data.train.text FILE", "none");
  for (const auto* files : {&options.data.train, &options.data.valid})
    if (!files->source.empty() || !files->target.empty() || !files->tsv.empty() || !files->alignments.empty())
      throw UserError("data", "text alone with task language_model", "source, target, tsv or alignments");
  if (options.train.metric != metrics::MetricKind::perplexity && options.train.metric != metrics::MetricKind::bits_per_character)
    throw UserError("train.metric", "perplexity or bits_per_character with task language_model", std::string(Name(options.train.metric)));
  const auto refuse = [](bool given, const char* option, const char* expected) {
    if (given) throw UserError(option, std::string(expected) + " with task language_model", "another value");
  };
  refuse(options.train.guided_alignment > 0, "train.guided_alignment", "0");
  refuse(options.train.coverage_loss > 0, "train.coverage_loss", "0");
  refuse(options.text.regularisation > 0, "text.regularisation", "0");
  refuse(options.data.train.reverse, "data.train.reverse", "false");
  refuse(options.data.valid.reverse, "data.valid.reverse", "false");
  if (options.data.valid.text.empty() && options.data.hold_out == 0)
    throw UserError("data.valid.text", "a validation text, or data.hold_out above 0", "neither");
}

// Training and validation text; without the latter the end of the former.
std::pair<data::PlainText, data::PlainText> OpenTexts(const data::DataOptions& options, train::Progress& progress) {
  const Path cache = data::CacheFolder(options.cache);
  const auto train = data::PlainText::Open(options.train.text.values(), cache, "data.train.text");
  const auto count = [](const data::PlainText& t) {
    return std::to_string(t.lines()) + " lines, " + std::to_string(t.characters()) + " characters";
  };
  if (!options.valid.text.empty()) {
    const auto valid = data::PlainText::Open(options.valid.text.values(), cache, "data.valid.text");
    progress.Note("training text: " + count(train));
    progress.Note("validation text: " + count(valid));
    return {train, valid};
  }
  const auto share = static_cast<int64_t>(options.hold_out * static_cast<double>(train.lines()));
  const int64_t lines = std::min(options.hold_out_lines, std::max<int64_t>(share, 1));
  if (lines >= train.lines())
    throw UserError("data.valid", "a validation text, or more training text to hold the end of out",
                    std::to_string(train.lines()) + " lines");
  const auto [kept, held] = train.CutOff(lines);
  progress.Note("training text: " + count(kept));
  progress.Note("validation text: the last of it held out, " + count(held));
  return {kept, held};
}

text::Lines LinesOf(const data::PlainText& text) {
  return {text.lines(), [text](int64_t i) { return text[i].text; }};
}

}  // namespace

bool Train(const TrainRequest& request) {
  const double start = Seconds();
  const RunOptions options = ReadRunOptions(request.source);
  const at::Device device = DeviceOf(request.machine);
  Check(options);
  RunFolder folder(request, options);
  train::Progress progress(train::Progress::StderrIsTerminal());
  const auto [train_text, valid_text] = OpenTexts(options.data, progress);
  folder.Open(Fingerprint(options.data, false));

  const int threads = Threads(request.machine);
  at::set_num_threads(threads);
  progress.Note("matrix products: " + ChooseMatrixProducts(options.train.precision));
  const text::Tokenizers tokenizers = PrepareTokenizers(options, folder, progress, [&] {
    const text::Lines lines[] = {LinesOf(train_text)};
    text::Trained one = text::TrainTokenizer(options.text, lines, static_cast<uint64_t>(options.train.seed));
    return text::TrainedPair{{one.tokenizer, one.tokenizer}, one.notes};
  });
  models::Workers workers(threads);
  const auto model = BeginModel(options, folder, tokenizers, workers, progress);
  if (const int64_t longest = model->longest().target; options.data.context > longest)
    throw UserError("data.context", "at most " + std::to_string(longest) + " tokens, of which the model knows the positions",
                    std::to_string(options.data.context));

  Writer writer(model, tokenizers.target, device, options.data.context, Carries(options));
  LanguageTask task(options, writer, valid_text);
  const auto tokens = std::make_shared<const data::TokenText>(Tokens(train_text, *tokenizers.target));
  data::TokenStreamOptions stream;
  stream.rows = RowsOf(options);
  stream.length = options.data.context;
  stream.carry = writer.carries();
  stream.before = text::kEos;
  stream.seed = static_cast<uint64_t>(options.train.seed);
  const auto open = [&](data::Position position) {
    return std::make_unique<data::PrefetchedStream>(std::make_unique<data::TokenStream>(tokens, stream, position));
  };
  const train::RunResult result = train::Train(task, options.train, folder.directory(), open, workers, progress, Seconds() - start);
  return Conclude(result, options, request.out, start, progress);
}

std::unique_ptr<Predictor> Load(const std::string& model, const Machine& machine) {
  const at::Device device = DeviceOf(machine);
  LoadedModel loaded = LoadModel(model, machine);
  return std::make_unique<LanguagePredictor>(
      Writer(loaded.model, loaded.tokenizers.target, device, loaded.options.data.context, Carries(loaded.options)), Threads(machine));
}

}  // namespace attend::tasks::language_model
