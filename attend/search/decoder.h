#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace attend::search {

enum class Maps { none, summed, all };  // attention maps: none, summed over heads (mean), every head

// Draw a token from the distribution sharpened by temperature and cut to the top k ids and the nucleus p.
struct Sampling {
  double temperature = 1;          // 0: the most likely id
  int top_k = 0;                   // 0: no cut
  double top_p = 1;                // 1: no cut
  std::vector<uint64_t> row_keys;  // (rows) one Philox key a row
  uint32_t position = 0;           // of the token in its output: the draw's counter
};

struct StepRequest {
  int k = 1;                                    // how many of the best ids to return for each row
  std::vector<std::vector<int32_t>> forbidden;  // (rows) or empty: ids that must not be returned or drawn
  std::vector<int32_t> forced;                  // (rows) or empty: the id whose log-probability is asked for; -1: none.
                                                // It wins over sampling and over forbidden ids.
  std::optional<Sampling> sampling;
  Maps maps = Maps::none;
};

// What the keys of a map are: positions of the source, of the output so far, or of the decoder's inputs so far, the start symbol and then
// the output.
enum class MapOver { source, output, input };

// One attention map of one step: what each row looks at.
struct StepMap {
  std::string path;  // the layer's path in the model, e.g. "decoder.attention"
  int64_t heads = 0, keys = 0;
  std::vector<float> weights;  // (rows, heads, keys); 0 beyond a row's length
  MapOver over = MapOver::source;
  bool aligns = true;  // of those over the source: it tells what a token translates ...
  int64_t head = -1;   // ... by this head; -1: by all
};

struct StepResult {
  int64_t rows = 0;
  int k = 0;                            // may be below the request's where the vocabulary is smaller
  std::vector<int32_t> ids;             // (rows, k) best first; ties: smaller id first; -1 where fewer ids are possible
  std::vector<float> log_probs;         // (rows, k) of the unmodified distribution; -infinity beside an id of -1
  std::vector<int32_t> chosen;          // (rows) the forced or drawn id, -1 where nothing can be drawn; empty when not asked for
  std::vector<float> chosen_log_probs;  // (rows) of the unmodified distribution
  std::vector<StepMap> maps;
};

// All that search, scoring and serving know of a model: a set of rows, each a prefix of some sentence's output.
//
// A decoder starts with one row per sentence of its batch and no output. Step feeds tokens[i] to a new row i that continues
// the previous row parents[i]; rows may be dropped, repeated, reordered. At the first step tokens are the start symbol.
// Not thread-safe; independent decoders may run in different threads.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual StepResult Step(std::span<const int32_t> parents, std::span<const int32_t> tokens, const StepRequest& request) = 0;
  // What attention over the output looks back at begins anew; of a language model that carries a state besides.
  virtual void Forget() {}
};

}  // namespace attend::search
