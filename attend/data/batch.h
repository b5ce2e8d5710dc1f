#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace attend::data {

// A padded matrix of ids, one example a row.
struct IdField {
  int64_t rows = 0, columns = 0;
  std::vector<int32_t> values;   // (rows, columns); beyond a row's length: the padding id
  std::vector<int32_t> lengths;  // (rows)
};

struct FloatField {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// What a model reads: plain values, no torch. Field names are the task's ("source", "target").
struct Batch {
  std::map<std::string, IdField> ids;
  std::map<std::string, FloatField> floats;
  std::vector<int64_t> examples;  // (rows) line of the corpus or of the input: keys every random draw of that row
  int64_t position = 0;           // of this batch in the global stream of batches, from 0
  int64_t epoch = 0;
  bool begins = true;         // no row goes on where one of the batch before ended
  int64_t target_tokens = 0;  // of the whole (global) batch: the divisor of its loss
};

}  // namespace attend::data
