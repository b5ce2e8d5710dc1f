#include "attend/search/grower.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "attend/base/error.h"

namespace attend::search {

int32_t Grower::AddRow(const Live& live, int32_t forced, std::vector<int32_t> forbidden) {
  parents_.push_back(live.row);
  tokens_.push_back(live.node < 0 ? symbols_.start : history_.Token(live.node));
  request_.forced.push_back(forced);
  request_.forbidden.push_back(std::move(forbidden));
  return static_cast<int32_t>(parents_.size()) - 1;
}

StepResult Grower::Step(int k, const std::optional<Sampling>& sampling) {
  request_.k = k;
  request_.sampling = sampling;
  if (std::all_of(request_.forced.begin(), request_.forced.end(), [](int32_t id) { return id < 0; })) request_.forced.clear();
  if (std::all_of(request_.forbidden.begin(), request_.forbidden.end(), [](const auto& ids) { return ids.empty(); }))
    request_.forbidden.clear();
  StepResult result = decoder_.Step(parents_, tokens_, request_);
  Check(result, k);
  history_.AddStep(result);
  parents_.clear();
  tokens_.clear();
  request_.forced.clear();
  request_.forbidden.clear();
  steps_++;
  return result;
}

void Grower::Check(const StepResult& result, int k) const {
  const size_t rows = parents_.size(), cells = rows * static_cast<size_t>(std::max(result.k, 0));
  const size_t chosen = request_.sampling || !request_.forced.empty() ? rows : 0;
  if (result.rows != static_cast<int64_t>(rows) || result.k < 0 || result.k > k || result.ids.size() != cells ||
      result.log_probs.size() != cells || result.chosen.size() < chosen || result.chosen_log_probs.size() < chosen)
    throw SystemError("[search] expected a result of " + std::to_string(rows) + " rows and at most " + std::to_string(k) +
                      " ids from the decoder; found " + std::to_string(result.rows) + " rows, k " + std::to_string(result.k) + ", " +
                      std::to_string(result.ids.size()) + " ids");
  const auto nan = [](float x) { return std::isnan(x); };
  if (std::any_of(result.log_probs.begin(), result.log_probs.end(), nan) ||
      std::any_of(result.chosen_log_probs.begin(), result.chosen_log_probs.end(), nan))
    throw SystemError("[search] expected log-probabilities from the decoder; found NaN at token " + std::to_string(steps_ + 1) +
                      " (are the model's weights finite?)");
}

}  // namespace attend::search
