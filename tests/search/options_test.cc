#include "attend/search/options.h"

#include "attend/config/options.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attend::search {
namespace {

TEST(Options, DefaultsAreLegalAndEveryFieldIsDeclared) {
  EXPECT_NO_THROW(Validate(SearchOptions{}));
  EXPECT_THAT(config::Paths<SearchOptions>(),
              testing::IsSupersetOf({"beam", "nbest", "length_penalty", "length_alpha", "coverage_penalty", "patience", "max_length",
                                     "max_ratio", "max_extra", "min_length", "no_repeat_ngram", "sample", "temperature", "top_k", "top_p",
                                     "seed", "replace_unknown", "batch_sentences", "batch_tokens"}));
  EXPECT_THAT(config::ToYaml(SearchOptions{}), testing::HasSubstr("length_penalty: average"));
}

}  // namespace
}  // namespace attend::search
