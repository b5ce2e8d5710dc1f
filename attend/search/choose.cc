#include "attend/search/choose.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "attend/base/error.h"
#include "attend/kernels/random.h"
#include "attend/search/row.h"

namespace attend::search {
namespace {

void Expect(bool holds, const char* part, const std::string& expected, const std::string& found) {
  if (!holds) throw UserError(std::string("search.") + part, expected, found);
}

void CheckIds(std::span<const int32_t> ids, int32_t least, int64_t vocabulary, const char* part) {
  for (int32_t id : ids) Expect(id >= least && id < vocabulary, part, "ids below " + std::to_string(vocabulary), std::to_string(id));
}

void Check(size_t size, int64_t rows, int64_t vocabulary, const StepRequest& request) {
  const auto fits = [rows](size_t n) { return n == 0 || n == static_cast<size_t>(rows); };
  const std::string each = "one entry for each of " + std::to_string(rows) + " rows";
  Expect(rows >= 0 && vocabulary > 0 && vocabulary <= std::numeric_limits<int32_t>::max() &&
             size / static_cast<size_t>(vocabulary) == static_cast<size_t>(rows) && size % static_cast<size_t>(vocabulary) == 0,
         "logits", std::to_string(rows) + " rows of " + std::to_string(vocabulary), std::to_string(size) + " values");
  Expect(request.k >= 0, "k", "0 or more", std::to_string(request.k));
  Expect(fits(request.forbidden.size()), "forbidden", each, std::to_string(request.forbidden.size()));
  for (const auto& ids : request.forbidden) CheckIds(ids, 0, vocabulary, "forbidden");
  Expect(fits(request.forced.size()), "forced", each, std::to_string(request.forced.size()));
  CheckIds(request.forced, -1, vocabulary, "forced");
  if (!request.sampling) return;
  const size_t keys = request.sampling->row_keys.size();
  Expect(keys == static_cast<size_t>(rows), "row_keys", each, std::to_string(keys));
  Expect(std::isfinite(request.sampling->temperature), "temperature", "a finite number", std::to_string(request.sampling->temperature));
}

// Uniform in [0, 1), 53 bits.
double Uniform(uint64_t key, uint32_t position) {
  const random::Counter c = random::Philox({{0, position, 0, 0}}, key);
  return static_cast<double>(uint64_t{c.v[0] >> 5} * 67108864 + (c.v[1] >> 6)) * 0x1p-53;
}

// Row `i` of the request, into row `i` of the result.
void ChooseRow(std::span<float> logits, size_t i, const StepRequest& request, Row& row, StepResult& result) {
  row.Set(logits);
  const double norm = row.LogSumExp();
  const auto log_prob = [&](int32_t id) { return static_cast<float>(logits[static_cast<size_t>(id)] - norm); };
  const auto k = static_cast<size_t>(result.k);
  int32_t* ids = result.ids.data() + i * k;
  float* log_probs = result.log_probs.data() + i * k;
  const int32_t forced = request.forced.empty() ? -1 : request.forced[i];
  if (std::isnan(norm)) {
    std::fill_n(log_probs, k, std::numeric_limits<float>::quiet_NaN());
    if (!result.chosen.empty()) {
      result.chosen[i] = forced;
      result.chosen_log_probs[i] = std::numeric_limits<float>::quiet_NaN();
    }
    return;
  }
  if (forced >= 0) {
    result.chosen[i] = forced;
    result.chosen_log_probs[i] = log_prob(forced);
  }
  if (!request.forbidden.empty() && !request.forbidden[i].empty()) {
    for (int32_t id : request.forbidden[i]) logits[static_cast<size_t>(id)] = kNever;
    row.Set(logits);
  }
  const std::span<const int32_t> best = row.Top(result.k);
  for (size_t j = 0; j < best.size(); j++) {
    ids[j] = best[j];
    log_probs[j] = log_prob(best[j]);
  }
  if (forced < 0 && request.sampling) {
    const int32_t drawn = row.Draw(*request.sampling, Uniform(request.sampling->row_keys[i], request.sampling->position));
    result.chosen[i] = drawn;
    if (drawn >= 0) result.chosen_log_probs[i] = log_prob(drawn);
  }
}

}  // namespace

void Serial(int64_t n, const std::function<void(int64_t begin, int64_t end)>& body) { body(0, n); }

StepResult Choose(std::span<float> logits, int64_t rows, int64_t vocabulary, const StepRequest& request, const ParallelFor& parallel) {
  Check(logits.size(), rows, vocabulary, request);
  StepResult result;
  result.rows = rows;
  result.k = static_cast<int>(std::min<int64_t>(request.k, vocabulary));
  const auto n = static_cast<size_t>(rows), k = static_cast<size_t>(result.k), width = static_cast<size_t>(vocabulary);
  result.ids.assign(n * k, -1);
  result.log_probs.assign(n * k, kNever);
  if (request.sampling || !request.forced.empty()) {
    result.chosen.assign(n, -1);
    result.chosen_log_probs.assign(n, kNever);
  }
  parallel(rows, [&](int64_t begin, int64_t end) {
    Row row;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); i++)
      ChooseRow(logits.subspan(i * width, width), i, request, row, result);
  });
  return result;
}

}  // namespace attend::search
