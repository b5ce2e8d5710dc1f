#include "attend/search/options.h"

#include <sstream>
#include <string>
#include <string_view>

namespace attend::search {
namespace {

template <class T>
std::string Text(T value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

// Reads the declarations once more, for the bounds.
class RangeCheck {
 public:
  explicit RangeCheck(const SearchOptions& options) : options_(options) {}

  template <class T>
  struct Bounds {
    std::string_view name;
    T value;
    void Range(double least, double most) const {
      if constexpr (std::is_arithmetic_v<T>) {
        const auto x = static_cast<double>(value);
        if (!(x >= least && x <= most)) throw UserError("search." + std::string(name), Text(least) + " to " + Text(most), Text(value));
      }
    }
  };
  template <class T>
  Bounds<T> operator()(std::string_view name, T SearchOptions::*member, std::string_view) const {
    return {name, options_.*member};
  }

 private:
  const SearchOptions& options_;
};

}  // namespace

void Validate(const SearchOptions& options) {
  RangeCheck check(options);
  SearchOptions::Declare(check);
  if (!options.sample && options.nbest > options.beam)
    throw UserError("search.nbest", "at most search.beam (" + Text(options.beam) + ")", Text(options.nbest));
  if (options.min_length > options.max_length)
    throw UserError("search.min_length", "at most search.max_length (" + Text(options.max_length) + ")", Text(options.min_length));
}

}  // namespace attend::search
