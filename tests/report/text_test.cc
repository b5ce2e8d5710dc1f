#include "attend/report/text.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <sstream>

#include "attend/base/error.h"
#include "attend/report/token.h"
#include "tests/report/maps.h"

namespace attend::report {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Text, ASmallMap) {
  EXPECT_EQ(RenderText(OneExample(), {.head = 0}),
            "an example\n"
            "  source  das Haus\n"
            "  output  the house\n"
            "\n"
            "decoder.attention, head 1 of 2\n"
            "rows produces: target; columns reads from: source; right: heaviest of the row\n"
            "        H <\n"
            "      d a /\n"
            "      a u s\n"
            "      s s >\n"
            "  the ▒▒░░░░  0.500 das\n"
            "house ··██··  1.000 Haus\n"
            "weight 0 ·· .25 ░░ .5 ▒▒ .75 ▓▓ 1 ██\n");
}

TEST(Text, WithoutUnicodeAndWithColour) {
  EXPECT_THAT(RenderText(TwoHeads(), {.unicode = false, .head = 0}), HasSubstr("  the ++----  0.500 das\nhouse ..@@..  1.000 Haus\n"));
  EXPECT_THAT(RenderText(TwoHeads()), Not(HasSubstr("\x1b")));
  EXPECT_THAT(RenderText(TwoHeads(), {.colour = true, .head = 0}), HasSubstr("house \x1b[48;5;234m  \x1b[0m\x1b[48;5;220m  \x1b[0m"));
}

TEST(Text, WideMapsArePagedAndFitTheWidth) {
  AttentionMap map = TwoHeads();
  map.heads = 1;
  map.rows = {"你好你好你好你好你好你好", "a"};
  map.columns.assign(50, "e\xcc\x81你");
  map.columns[49] = std::string(40, 'w');
  map.weights.assign(100, 0.02f);
  map.weights[49] = 0.5f;
  for (const int width : {40, 80, 132}) {
    const std::string text = RenderText(map, {.width = width});
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      // The line that names the axes may be longer.
      if (line.find("rows ") == 0) continue;
      EXPECT_LE(DisplayWidth(line), width) << line;
    }
    EXPECT_THAT(text, HasSubstr(" of 50\n"));
    EXPECT_THAT(text, HasSubstr("0.500 wwwwwwwwwwwww…\n"));
    EXPECT_THAT(text, HasSubstr("–50 of 50\n"));
  }
  EXPECT_THROW(RenderText(map, {.width = 39}), UserError);
}

TEST(Text, TerminalEscapesInTokensAreInert) {
  AttentionReport report = OneExample();
  report.examples[0].title = report.examples[0].texts[0].second = report.examples[0].maps[0].rows[0] = "\x1b[2J\x9b";
  const std::string text = RenderText(report);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("␛[2J⟨9B⟩"));
}

TEST(Text, RowsThatSeeNothingHaveNoBest) {
  AttentionMap map = TwoHeads();
  map.heads = 1;
  map.weights = {0, 0, 0, 0, 1, 0};
  EXPECT_THAT(RenderText(map), HasSubstr("  the ······\n"));
}

TEST(Text, FilesGetPlainText) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const TextOptions options = TextOptionsFor(pipe_ends[1]);
  EXPECT_EQ(options.width, 80);
  EXPECT_FALSE(options.colour);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

}  // namespace
}  // namespace attend::report
