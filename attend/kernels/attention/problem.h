#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace attend::kernels::attention {

// Fused attention on raw pointers: scores, normaliser, dropout and read-out of one tile of queries after the other, so that no array of
// all pairs is stored unless it is asked for. Arithmetic is float32; see LowProducts. See docs/architecture.md, "Fused attention".

enum class Element { float32, bfloat16 };

// What the kernels know; the names are those of the vocabulary. scaled_dot is `dot` with a scale; `given` scores are read, not computed.
enum class Score { dot, cosine, euclidean, additive, given };
enum class Normaliser { softmax, sigmoid, sparsemax, entmax15 };
enum class Readout { soft, sample, argmax, straight_through, gumbel };

// Whether products of bfloat16 vectors round their other operand, weights or gradients of scores, to bfloat16 too: what is summed stays
// float32. automatic: where the processor has the instruction; always: where it does not, by other instructions, for tests.
enum class LowProducts { automatic, never, always };

// Vectors of contiguous elements, one a batch row, head and position; strides in elements.
struct Vectors {
  const void* data = nullptr;
  Element type = Element::float32;
  int64_t batch = 0, head = 0, position = 0;
};
struct MutableVectors {
  void* data = nullptr;
  Element type = Element::float32;
  int64_t batch = 0, head = 0, position = 0;
};

// One number a pair; strides in elements, 0 where broadcast.
template <class T>
struct Pairs {
  const T* data = nullptr;
  int64_t batch = 0, head = 0, query = 0, key = 0;
};

// A row of the batch, or one of several sequences packed into it.
struct Sequence {
  int64_t queries = 0, keys = 0;  // how many stand in memory
  int64_t seeing = 0, seen = 0;   // how many of them exist: queries from `seeing` on see nothing, keys from `seen` on are not seen
  int64_t index = 0;              // which of the sequences
  int64_t row = 0;                // of the batch
  int64_t query_start = 0;        // where they begin in memory
  int64_t key_start = 0;
  int64_t offset = 0;  // position of the first query
  uint64_t draws = 0;  // key of its random draws
};

struct Problem {
  Score score = Score::dot;
  Normaliser normaliser = Normaliser::softmax;
  Readout readout = Readout::soft;
  int64_t heads = 1, kv_heads = 1;  // Hq, Hk: heads / kv_heads query heads share a key head
  int64_t dim = 0, value_dim = 0;   // D, Dv
  std::vector<Sequence> sequences;

  LowProducts low_products = LowProducts::automatic;
  Vectors query, key, value;                     // (.., Hq, Tq, D), (.., Hk, Tk, D), (.., Hk, Tk, Dv)
  Vectors prepared;                              // additive: what Prepare() made of the keys, or null
  const int64_t* key_rows = nullptr;             // batch row of key and value that holds (row, position); null: the row itself
  int64_t key_rows_batch = 0, key_rows_key = 0;  // its strides
  Vectors scores;                                // given: (B, Hq, Tq, Tk)
  const float* param = nullptr;                  // additive: v; cosine, euclidean: the scale
  int64_t param_head = 0;                        // its stride from head to head
  float scale = 1;                               // of dot

  bool causal = false;
  std::optional<int64_t> window_left, window_right, block_size, look_back;
  const bool* global_keys = nullptr;  // (B or 1, Tk)
  int64_t global_batch = 0;
  Pairs<bool> mask;
  Pairs<float> bias;
  const float* slopes = nullptr;   // (Hq): a score loses this times the distance of query and key (ALiBi)
  const float* centers = nullptr;  // (B, Hq, Tq) contiguous
  int64_t centers_batch = 0, centers_head = 0;
  float half_width = 0;

  float temperature = 1;
  double dropout = 0;
};

// Where results go. Weights and the gradient of the scores hold zeros before the call; only what is visible is written.
struct Outputs {
  MutableVectors output;         // (.., Hq, Tq, Dv)
  MutableVectors weights;        // (B, Hq, Tq, Tk), or null
  float* lse = nullptr;          // (B, Hq, Tq) contiguous, or null; softmax only
  int64_t* sample = nullptr;     // (B, Hq, Tq), or null
  float* sample_logp = nullptr;  // (B, Hq, Tq), or null
  int64_t batch = 0, head = 0;   // strides of these three
};

// Do scores gain something that depends on the pair?
inline bool IsBiased(const Problem& p) { return p.bias.data || p.slopes; }

struct Gradients {
  // In: gradients of the results, null where there is none, and what the forward pass left.
  Vectors output_grad;               // (.., Hq, Tq, Dv)
  Vectors weights_grad;              // (B, Hq, Tq, Tk)
  const float* lse_grad = nullptr;   // (B, Hq, Tq)
  const float* logp_grad = nullptr;  // (B, Hq, Tq)
  Vectors output;                    // with lse: softmax needs no second look at a row
  const float* lse = nullptr;
  const int64_t* sample = nullptr;  // what the read-out chose
  int64_t batch = 0, head = 0;      // strides of lse_grad, logp_grad, lse, sample
  // Out: null where not wanted. Those of key and value have a row of their own for each row of the batch, whatever key_rows says.
  MutableVectors query, key, value;
  float* param = nullptr;   // (sequences, Hq, D or 1)
  float* scores = nullptr;  // (B, Hq, Tq, Tk): of given scores, of the bias and of the slopes
  int64_t scores_batch = 0, scores_head = 0, scores_query = 0;
  float* centers = nullptr;  // (B, Hq, Tq), strides of the centres
};

// Calls body(task) once for each task from 0 on, in any order, on as many threads as it likes.
using Parallel = std::function<void(int64_t tasks, const std::function<void(int64_t task)>& body)>;

// What can be computed of the keys of additive scores once for many calls: e^2k in single precision, contiguous (batch, heads, positions,
// dim); a key beyond the range of the exponentials has NaN in place of its first number, and is then read itself.
void Prepare(const Vectors& key, int64_t batch, int64_t heads, int64_t positions, int64_t dim, float* prepared, const Parallel& parallel);

// The same bits whatever `parallel` does. Thread-safe.
void Forward(const Problem& problem, const Outputs& outputs, const Parallel& parallel);
void Backward(const Problem& problem, const Gradients& gradients, const Parallel& parallel);

}  // namespace attend::kernels::attention
