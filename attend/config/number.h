#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace attend::config {

// The shortest text that reads back as the same number; integers without an exponent.
std::string NumberText(double x);
std::string NumberText(long double x);
std::string NumberText(long long x);

// A whole text as an integer or as a finite number (decimal; a leading + is allowed); nullopt for anything else, overflow
// included.
std::optional<long long> ParseInteger(std::string_view text);
std::optional<double> ParseReal(std::string_view text);

}  // namespace attend::config
