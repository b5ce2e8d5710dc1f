#include <algorithm>

#include "attend/train/trainer.h"

namespace attend::train {

data::Batch Slice(const data::Batch& batch, int64_t k, int64_t parts) {
  data::Batch out;
  out.position = batch.position;
  out.epoch = batch.epoch;
  out.begins = batch.begins;
  out.target_tokens = batch.target_tokens;
  const auto rows = static_cast<int64_t>(batch.examples.size());
  for (int64_t i = k; i < rows; i += parts) out.examples.push_back(batch.examples[static_cast<size_t>(i)]);
  std::map<std::string, int64_t> longest;
  for (const auto& [name, field] : batch.ids) {
    data::IdField part;
    part.rows = static_cast<int64_t>(out.examples.size());
    for (int64_t i = k; i < rows; i += parts) part.lengths.push_back(field.lengths[static_cast<size_t>(i)]);
    for (int32_t length : part.lengths) part.columns = std::max<int64_t>(part.columns, length);
    for (int64_t i = k; i < rows; i += parts) {
      const auto row = field.values.begin() + i * field.columns;
      part.values.insert(part.values.end(), row, row + part.columns);
    }
    longest[name] = part.columns;
    out.ids[name] = std::move(part);
  }
  // The one field of numbers is the alignment (rows, target, source).
  for (const auto& [name, field] : batch.floats) {
    const int64_t height = field.shape[1], width = field.shape[2], tall = longest.at("target"), wide = longest.at("source");
    data::FloatField part;
    part.shape = {static_cast<int64_t>(out.examples.size()), tall, wide};
    for (int64_t i = k; i < rows; i += parts)
      for (int64_t t = 0; t < tall; t++) {
        const auto row = field.values.begin() + (i * height + t) * width;
        part.values.insert(part.values.end(), row, row + wide);
      }
    out.floats[name] = std::move(part);
  }
  return out;
}

}  // namespace attend::train
