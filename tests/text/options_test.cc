#include "attend/text/options.h"

#include <gtest/gtest.h>

#include <set>

#include "attend/config/declare.h"

namespace attend::text {
namespace {

TEST(TextOptions, DefaultsAreWithinTheirBounds) {
  const config::Type& type = config::TypeOf<TextOptions>();
  const TextOptions defaults;
  std::set<std::string> names;
  for (const config::Field& field : type.fields) {
    names.insert(field.name());
    EXPECT_FALSE(field.help().empty());
    const void* value = field.Of(&defaults);
    switch (field.type().form) {
      case config::Form::int64:
        EXPECT_TRUE(field.bounds().Contains(static_cast<long double>(*static_cast<const int64_t*>(value))));
        break;
      case config::Form::real:
        EXPECT_TRUE(field.bounds().Contains(*static_cast<const double*>(value)));
        break;
      default:
        EXPECT_TRUE(field.bounds().empty());
    }
  }
  EXPECT_EQ(names,
            (std::set<std::string>{"tokenizer", "vocabulary", "shared", "lowercase", "unicode_form", "collapse_spaces", "split_digits",
                                   "byte_fallback", "character_coverage", "minimum_count", "sample_lines", "regularisation"}));
}

}  // namespace
}  // namespace attend::text
