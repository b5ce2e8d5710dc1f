#include "attend/config/number.h"

#include <charconv>
#include <cmath>
#include <system_error>

namespace attend::config {

std::string NumberText(double x) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, x).ptr;
  std::string out(buffer, end);
  // YAML 1.1 readers take 1e-05 for text and 1.0e-05 for a number.
  const size_t e = out.find('e');
  if (e != std::string::npos && out.find('.') == std::string::npos) out.insert(e, ".0");
  return out;
}

std::string NumberText(long long x) { return std::to_string(x); }

std::string NumberText(long double x) {
  constexpr long double kInt64 = 9223372036854775808.0L;  // 2^63
  if (x >= -kInt64 && x < kInt64 && std::floor(x) == x) return NumberText(static_cast<long long>(x));
  return NumberText(static_cast<double>(x));
}

namespace {
template <class T>
std::optional<T> Parse(std::string_view text) {
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}
}  // namespace

std::optional<long long> ParseInteger(std::string_view text) { return Parse<long long>(text); }

std::optional<double> ParseReal(std::string_view text) {
  const auto value = Parse<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

}  // namespace attend::config
