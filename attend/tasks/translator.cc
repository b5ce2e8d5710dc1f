#include "attend/tasks/translator.h"

#include <algorithm>

#include "attend/search/alignment.h"
#include "attend/search/batches.h"
#include "attend/search/search.h"
#include "attend/tasks/report_maps.h"

namespace attend::tasks {
namespace {

search::Maps Needed(bool alignments, bool maps, const search::SearchOptions* options) {
  if (maps) return search::Maps::all;
  const bool used = alignments || (options && (options->coverage_penalty > 0 || options->replace_unknown));
  return used ? search::Maps::summed : search::Maps::none;
}

std::vector<int32_t> WordsOf(const text::Encoding& encoding) {
  std::vector<int32_t> words;
  for (const text::Origin& origin : encoding.origins) words.push_back(origin.word);
  return words;
}

std::vector<metrics::Link> Align(const search::SourceMap& map, std::span<const int32_t> source_words,
                                 std::span<const int32_t> target_words) {
  std::vector<metrics::Link> out;
  for (const search::Link& link : search::AlignWords(map, source_words, target_words)) out.push_back({link.source, link.target});
  return out;
}

}  // namespace

Translator::Translator(std::shared_ptr<models::SequenceModel> model, text::Tokenizers tokenizers, at::Device device)
    : model_(std::move(model)), tokenizers_(std::move(tokenizers)), device_(device) {}

std::vector<data::Side> Translator::Sides(double rate) const {
  const auto side = [rate](const char* name, const std::shared_ptr<const text::Tokenizer>& tokenizer) {
    data::Encode encode = [tokenizer, rate](std::string_view text, uint64_t key, std::vector<int32_t>& ids, std::vector<int32_t>* words) {
      const text::Encoding encoding = tokenizer->EncodeSampled(text, rate, key);
      ids.insert(ids.end(), encoding.ids.begin(), encoding.ids.end());
      if (!words) return;
      const std::vector<int32_t> of = WordsOf(encoding);
      words->insert(words->end(), of.begin(), of.end());
    };
    return data::Side{name, std::move(encode), text::kEos, text::kPad};
  };
  return {side("source", tokenizers_.source), side("target", tokenizers_.target)};
}

models::Longest Translator::Longest() const {
  const models::Longest all = model_->longest();
  return {all.source - 1, all.target - 1};
}

search::Symbols Translator::Symbols() const { return {text::kBos, text::kEos, {text::kPad, text::kBos}}; }

Translator::Source Translator::ReadSource(const std::string& line) const {
  Source source;
  source.encoding = tokenizers_.source->Encode(line);
  source.tokens = static_cast<int64_t>(source.encoding.ids.size());
  if (const int64_t longest = Longest().source; source.tokens > longest) {
    source.encoding.ids.resize(static_cast<size_t>(longest));
    source.encoding.origins.resize(static_cast<size_t>(longest));
  }
  source.pieces = tokenizers_.source->Pieces(line, source.encoding);
  source.pieces.emplace_back(text::kSpecialNames[text::kEos]);
  source.words = WordsOf(source.encoding);
  return source;
}

data::Batch Translator::MakeBatch(const std::vector<Source>& sources, std::span<const int64_t> lines) const {
  std::vector<data::Example> examples;
  std::vector<int32_t> rows;
  for (int64_t line : lines) {
    data::Example example;
    example.line = line;
    example.ids = {sources[static_cast<size_t>(line)].encoding.ids};
    example.ids[0].push_back(text::kEos);
    rows.push_back(static_cast<int32_t>(examples.size()));
    examples.push_back(std::move(example));
  }
  return data::MakeBatch(examples, rows, {Sides()[0]}, false);
}

void Translator::AddSourceMaps(std::vector<Source>& sources, std::span<const int64_t> lines, const data::Batch& batch) const {
  for (const models::SequenceModel::SourceMap& map : model_->SourceMaps(batch, device_))
    for (size_t row = 0; row < lines.size(); row++) {
      Source& source = sources[static_cast<size_t>(lines[row])];
      const auto length = static_cast<int64_t>(source.pieces.size());
      report::AttentionMap out{map.path, "reads: source", "looks back at: source", source.pieces, source.pieces, map.heads, {}};
      for (int64_t i = 0; i < map.heads * map.columns; i++) {
        if (i % map.columns >= length) continue;
        const auto from = map.weights.begin() + (static_cast<int64_t>(row) * map.heads * map.columns + i) * map.columns;
        out.weights.insert(out.weights.end(), from, from + length);
      }
      source.maps.push_back(std::move(out));
    }
}

Output Translator::Write(const search::Hypothesis& hypothesis, const Source& source, const std::string& line, bool replace_unknown,
                         bool alignments, bool maps) const {
  const text::Tokenizer& tokenizer = *tokenizers_.target;
  const search::SourceMap mean = search::MeanSourceMap(hypothesis);
  std::vector<std::string> unknowns;
  if (replace_unknown && mean.tokens > 0) {
    const std::vector<int32_t> words = search::ReplaceUnknown(hypothesis.ids, text::kUnknown, mean, source.words);
    for (size_t i = 0; i < hypothesis.ids.size(); i++) {
      if (hypothesis.ids[i] != text::kUnknown) continue;
      const int32_t word = words[i];
      unknowns.push_back(word < 0 ? std::string(text::kUnknownText)
                                  : line.substr(source.encoding.words[static_cast<size_t>(word)].begin,
                                                source.encoding.words[static_cast<size_t>(word)].end -
                                                    source.encoding.words[static_cast<size_t>(word)].begin));
    }
  }
  const text::Decoding decoding = tokenizer.DecodeWithWords(hypothesis.ids, unknowns);
  Output out;
  out.text = decoding.text;
  out.score = hypothesis.score;
  out.log_prob = hypothesis.log_prob;
  out.complete = hypothesis.complete;
  for (int32_t id : hypothesis.ids) out.pieces.push_back(tokenizer.Piece(id));
  out.piece_log_probs = hypothesis.log_probs;
  if (alignments) out.alignment = Align(mean, source.words, decoding.words);
  if (maps) {
    std::vector<std::string> rows = out.pieces;
    if (hypothesis.complete) rows.emplace_back(text::kSpecialNames[text::kEos]);
    out.maps = source.maps;
    for (auto& map : ToReport(hypothesis.maps, rows, std::string(text::kSpecialNames[text::kBos]), source.pieces))
      out.maps.push_back(std::move(map));
  }
  return out;
}

std::vector<std::vector<Output>> Translator::Translate(std::span<const std::string> lines, const PredictRequest& request,
                                                       models::Workers& workers, std::vector<std::string>& notices) const {
  search::SearchOptions options = request.search;
  search::Validate(options);
  options.max_length = static_cast<int>(std::min<int64_t>(options.max_length, Longest().target));
  std::vector<Source> sources(lines.size());
  int64_t shortened = 0;
  std::vector<int64_t> full;  // lines with something in them
  std::vector<int64_t> lengths;
  std::vector<std::vector<Output>> outputs(lines.size());
  for (size_t i = 0; i < lines.size(); i++) {
    sources[i] = ReadSource(lines[i]);
    shortened += sources[i].tokens > static_cast<int64_t>(sources[i].encoding.ids.size());
    if (sources[i].encoding.ids.empty()) {
      outputs[i].emplace_back();
      continue;
    }
    full.push_back(static_cast<int64_t>(i));
    lengths.push_back(static_cast<int64_t>(sources[i].encoding.ids.size()) + 1);
  }
  const auto batches = search::Batches(lengths, options);
  const search::Maps maps = Needed(request.alignments, request.maps, &options);
  workers.Run(static_cast<int64_t>(batches.size()), [&](int64_t b) {
    std::vector<int64_t> members;
    std::vector<search::Sentence> sentences;
    for (int64_t k : batches[static_cast<size_t>(b)]) {
      const int64_t line = full[static_cast<size_t>(k)];
      members.push_back(line);
      search::Sentence sentence{lengths[static_cast<size_t>(k)], request.first_line + line, {}};
      if (!request.prefixes.empty()) sentence.prefix = tokenizers_.target->Encode(request.prefixes[static_cast<size_t>(line)]).ids;
      sentences.push_back(std::move(sentence));
    }
    const data::Batch batch = MakeBatch(sources, members);
    if (request.maps) AddSourceMaps(sources, members, batch);
    const auto decoder = model_->Decode(batch, device_);
    const auto found = search::Search(*decoder, sentences, Symbols(), options, maps);
    for (size_t k = 0; k < members.size(); k++) {
      const auto line = static_cast<size_t>(members[k]);
      for (const search::Hypothesis& h : found[k])
        outputs[line].push_back(Write(h, sources[line], lines[line], options.replace_unknown, request.alignments, request.maps));
    }
  });
  int64_t cut = 0, all = 0;
  for (const auto& of_line : outputs)
    for (const Output& output : of_line) {
      all++;
      cut += output.complete ? 0 : 1;
    }
  if (cut > 0) notices.push_back(search::CutNotice(cut, all, options));
  if (shortened > 0)
    notices.push_back(std::to_string(shortened) + " of " + std::to_string(lines.size()) + " lines have more than " +
                      std::to_string(Longest().source) + " tokens, of which the model knows the positions, and were cut there");
  return outputs;
}

std::vector<Output> Translator::Score(std::span<const std::string> lines, std::span<const std::string> references, bool alignments,
                                      bool maps, models::Workers& workers) const {
  std::vector<Source> sources(lines.size());
  std::vector<text::Encoding> targets(lines.size());
  std::vector<int64_t> lengths(lines.size());
  for (size_t i = 0; i < lines.size(); i++) {
    sources[i] = ReadSource(lines[i]);
    targets[i] = tokenizers_.target->Encode(references[i]);
    lengths[i] = static_cast<int64_t>(sources[i].encoding.ids.size()) + 1;
    if (const auto tokens = static_cast<int64_t>(targets[i].ids.size()); tokens > Longest().target)
      throw UserError("reference", "at most " + std::to_string(Longest().target) + " tokens, of which the model knows the positions",
                      std::to_string(tokens) + " in line " + std::to_string(i + 1));
  }
  const auto batches = search::Batches(lengths, search::SearchOptions{});
  std::vector<Output> outputs(lines.size());
  workers.Run(static_cast<int64_t>(batches.size()), [&](int64_t b) {
    const std::vector<int64_t>& members = batches[static_cast<size_t>(b)];
    std::vector<search::Sentence> sentences;
    std::vector<std::vector<int32_t>> wanted;
    for (int64_t line : members) {
      sentences.push_back({lengths[static_cast<size_t>(line)], line, {}});
      wanted.push_back(targets[static_cast<size_t>(line)].ids);
    }
    const data::Batch batch = MakeBatch(sources, members);
    if (maps) AddSourceMaps(sources, members, batch);
    const auto decoder = model_->Decode(batch, device_);
    const search::Hypotheses scored = search::Score(*decoder, sentences, wanted, Symbols(), Needed(alignments, maps, nullptr));
    for (size_t k = 0; k < members.size(); k++) {
      const auto line = static_cast<size_t>(members[k]);
      outputs[line] = Write(scored[k], sources[line], lines[line], false, false, maps);
      outputs[line].text = references[line];
      if (alignments) outputs[line].alignment = Align(search::MeanSourceMap(scored[k]), sources[line].words, WordsOf(targets[line]));
    }
  });
  return outputs;
}

}  // namespace attend::tasks
