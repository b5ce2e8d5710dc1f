#include "attend/data/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <set>

#include "attend/base/error.h"
#include "tests/data/files.h"

namespace attend::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Gzip(const std::string& path, std::string_view bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return path;
}

FilesOptions Aligned(const std::string& source, const std::string& target) {
  FilesOptions files;
  files.source = source;
  files.target = target;
  return files;
}

FilesOptions Table(const std::string& tsv) {
  FilesOptions files;
  files.tsv = tsv;
  return files;
}

std::vector<std::string> Column(const Corpus& corpus, int column) {
  std::vector<std::string> out;
  for (int64_t e = 0; e < corpus.size(); e++) out.emplace_back(corpus.Text(e, column));
  return out;
}

std::vector<int64_t> Lines(const Corpus& corpus) {
  std::vector<int64_t> out;
  for (int64_t e = 0; e < corpus.size(); e++) out.push_back(corpus.Line(e));
  return out;
}

TEST(Corpus, AlignedFiles) {
  const Folder f;
  // A byte order mark, Windows line ends, no newline at the end, a carriage return that is text.
  const Corpus corpus = Corpus::Open(Aligned(f.Write("s",
                                                     "\xEF\xBB\xBF"
                                                     "a b\r\nc\rd\r\ne"),
                                             f.Write("t", "A\nB\nC\n")),
                                     f.Options(), false, "data.train");
  EXPECT_THAT(Column(corpus, 0), ElementsAre("a b", "c\rd", "e"));
  EXPECT_THAT(Column(corpus, 1), ElementsAre("A", "B", "C"));
  EXPECT_EQ(corpus.counts().Summary(), "3 lines, 3 kept");
}

TEST(Corpus, UnusableLinesAreSkippedAndCounted) {
  const Folder f;
  DataOptions options = f.Options();
  options.max_bytes = 5;
  const std::string nul = std::string(70000, 'x') + "\n" + std::string(1, '\0') + "\n";  // beyond the binary check
  const Corpus corpus =
      Corpus::Open(Aligned(f.Write("s", "one\n\n\xff\xfe\n \t\nlonger\nb\n" + nul + "c\n"), f.Write("t", "1\n2\n3\n4\n5\n\n7\n8\n9\n")),
                   options, false, "data.train");
  EXPECT_THAT(Column(corpus, 0), ElementsAre("one", "c"));
  EXPECT_THAT(Lines(corpus), ElementsAre(0, 8));
  EXPECT_EQ(corpus.counts().Summary(), "9 lines, 2 kept; skipped: 3 empty, 2 ill-encoded, 2 with too many bytes");
}

TEST(Corpus, SeveralFilesAreOneText) {
  const Folder f;
  FilesOptions files;
  files.source = {f.Write("s1", "a\nb"), f.Write("s2",
                                                 "\xEF\xBB\xBF"
                                                 "c\n\nd\n")};
  files.target = {f.Write("t1", "A\nB\n"), f.Write("t2", "C\nX\nD\n")};
  const Corpus corpus = Corpus::Open(files, f.Options(), false, "data.train");
  EXPECT_THAT(Column(corpus, 0), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(Column(corpus, 1), ElementsAre("A", "B", "C", "D"));
  EXPECT_THAT(Lines(corpus), ElementsAre(0, 1, 2, 4));
}

TEST(Corpus, Tables) {
  const Folder f;
  const std::string tsv = f.Write("x.tsv", "a b\tA B\t0-0 1-1\r\nno tab\nc\t\nd e\tD\t1-0\textra\nf\tF\n\ng\tG\t7-0\n");
  const Corpus corpus = Corpus::Open(Table(tsv), f.Options(), true, "data.train");
  EXPECT_THAT(Column(corpus, 0), ElementsAre("a b", "d e", "f"));
  EXPECT_THAT(Column(corpus, 1), ElementsAre("A B", "D", "F"));
  EXPECT_THAT(corpus.Links(0), ElementsAre(Link{0, 0}, Link{1, 1}));
  EXPECT_THAT(corpus.Links(1), ElementsAre(Link{1, 0}));
  EXPECT_TRUE(corpus.Links(2).empty());
  EXPECT_EQ(corpus.counts().Summary(), "7 lines, 3 kept; skipped: 2 empty, 2 malformed");

  FilesOptions reversed = Table(tsv);
  reversed.reverse = true;
  const Corpus back = Corpus::Open(reversed, f.Options(), true, "data.train");
  EXPECT_THAT(Column(back, 0), ElementsAre("A B", "D", "F"));
  EXPECT_THAT(Column(back, 1), ElementsAre("a b", "d e", "f"));
  EXPECT_THAT(back.Links(1), ElementsAre(Link{0, 1}));
}

TEST(Corpus, LinksOfAlignedFiles) {
  const Folder f;
  FilesOptions files = Aligned(f.Write("s", "a b\nc\nd\ne\n"), f.Write("t", "A\nB\nC\nD\n"));
  files.alignments = f.Write("links", "1-0\n\n0-1\n0:0\n");
  const Corpus corpus = Corpus::Open(files, f.Options(), true, "data.train");
  EXPECT_THAT(Column(corpus, 0), ElementsAre("a b", "c"));
  EXPECT_THAT(corpus.Links(0), ElementsAre(Link{1, 0}));
  EXPECT_EQ(corpus.counts().malformed, 2);
  EXPECT_EQ(Corpus::Open(files, f.Options(), false, "data.train").size(), 4);  // not read where not asked for
}

TEST(Corpus, Gzip) {
  const Folder f;
  const FilesOptions files = Aligned(Gzip(f / "s.gz", "a\nb\n"), f.Write("t", "A\nB\n"));
  const auto unpacked = [&] {
    std::set<std::string> names;
    for (const auto& e : std::filesystem::directory_iterator(f / "cache")) names.insert(e.path().filename());
    return names;
  };
  EXPECT_THAT(Column(Corpus::Open(files, f.Options(), false, "data.train"), 0), ElementsAre("a", "b"));
  const auto first = unpacked();
  EXPECT_EQ(first.size(), 1u);
  std::filesystem::permissions(f / "cache/" + *first.begin(), std::filesystem::perms::owner_read);
  EXPECT_EQ(Corpus::Open(files, f.Options(), false, "data.train").size(), 2);
  EXPECT_EQ(unpacked(), first);

  Gzip(f / "s.gz", "changed\nb\n");
  EXPECT_THAT(Column(Corpus::Open(files, f.Options(), false, "data.train"), 0), ElementsAre("changed", "b"));
  EXPECT_EQ(unpacked().size(), 1u);  // the old copy is gone
  EXPECT_NE(unpacked(), first);
}

TEST(Corpus, DamagedGzip) {
  const Folder f;
  std::string text;
  for (int i = 0; i < 20000; i++) text += std::to_string(i * 7919 % 10007) + (i % 10 ? " " : "\n");
  const std::string whole = Slurp(Gzip(f / "s.gz", text));
  std::string flipped = whole;
  flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 0x40);
  for (const std::string& bytes : {whole.substr(0, whole.size() / 2), whole.substr(0, whole.size() - 4), whole.substr(0, 5), flipped}) {
    const FilesOptions files = Aligned(f.Write("d.gz", bytes), f.Write("t", "A\n"));
    const std::string message = Message<UserError>([&] { Corpus::Open(files, f.Options(), false, "data.train"); });
    EXPECT_THAT(message, HasSubstr("[data.train.source] expected a whole gzip file; found " + (f / "d.gz"))) << bytes.size();
    EXPECT_TRUE(std::filesystem::is_empty(f / "cache"));
  }
}

TEST(Corpus, MistakesAreOneLine) {
  const Folder f;
  const std::string two = f.Write("two", "a\nb\n"), three = f.Write("three", "a\nb\nc"), empty = f.Write("empty", "");
  const std::string binary = f.Write("binary", std::string("PNG\0\1\2\n", 7)), blank = f.Write("blank", "\n \n");
  const auto message = [&](const FilesOptions& files, bool links = false) {
    const std::string text = Message<UserError>([&] { Corpus::Open(files, f.Options(), links, "data.train"); });
    EXPECT_EQ(text.find('\n'), std::string::npos);
    return text;
  };
  EXPECT_EQ(message(Aligned(two, three)),
            "[data.train] expected aligned files with the same number of lines; found " + two + " with 2 and " + three + " with 3");
  EXPECT_EQ(message(Aligned(three, two)),
            "[data.train] expected aligned files with the same number of lines; found " + three + " with 3 and " + two + " with 2");
  EXPECT_THAT(message(Aligned(two, f / "absent")),
              HasSubstr("[data.train.target] expected a file that can be read; found " + (f / "absent")));
  EXPECT_THAT(message(Aligned(two, f.path().string())), HasSubstr("which is a folder"));
  EXPECT_THAT(message(Aligned(empty, two)), HasSubstr("[data.train.source] expected a text with at least one line; found " + empty));
  EXPECT_THAT(message(Aligned(two, binary)),
              HasSubstr("[data.train.target] expected UTF-8 text; found " + binary + ", which is binary (byte 3 is NUL)"));
  EXPECT_EQ(message(Aligned(blank, two)), "[data.train] expected at least one usable line; found 2 lines, 0 kept; skipped: 2 empty");
  EXPECT_THAT(message(FilesOptions{}), HasSubstr("expected source and target, or tsv; found neither"));
  FilesOptions both = Aligned(two, two);
  both.tsv = two;
  EXPECT_THAT(message(both), HasSubstr("expected either tsv, or source and target; found both"));
  FilesOptions more = Aligned(two, two);
  more.source = {two, two};
  EXPECT_THAT(message(more), HasSubstr("found 2 source and 1 target"));
  EXPECT_THAT(message(Aligned(two, two), true), HasSubstr("[data.train.alignments] expected a file of word links"));
  EXPECT_THAT(message(Table(f.Write("x.tsv", "a\tA\n")), true),
              HasSubstr("expected word links (i-j ...) beside the text; found none in 1 lines"));
}

TEST(Corpus, HoldOut) {
  const Folder f;
  std::string text;
  for (int i = 0; i < 1000; i++) text += (i % 10 ? std::to_string(i) : "") + "\n";  // every tenth is skipped
  const FilesOptions files = Aligned(f.Write("s", text), f.Write("t", text));
  const Corpus all = Corpus::Open(files, f.Options(), false, "data.train");
  ASSERT_EQ(all.size(), 900);
  const auto [train, valid] = all.HoldOut(18, 1);
  EXPECT_EQ(valid.size(), 18);
  EXPECT_EQ(train.size(), 882);
  std::set<int64_t> lines;
  for (const Corpus& part : {train, valid}) {
    for (int64_t e = 0; e < part.size(); e++) {
      EXPECT_EQ(part.Text(e, 0), std::to_string(part.Line(e)));
      EXPECT_TRUE(lines.insert(part.Line(e)).second);
    }
  }
  EXPECT_EQ(lines.size(), 900u);
  EXPECT_EQ(Lines(all.HoldOut(18, 1).second), Lines(valid));
  EXPECT_NE(Lines(all.HoldOut(18, 2).second), Lines(valid));
}

TEST(Corpus, Split) {
  const Folder f;
  std::string text;
  for (int i = 0; i < 500; i++) text += "line\n";
  DataOptions options = f.Options();
  options.train = Aligned(f.Write("s", text), f.Write("t", text));
  EXPECT_EQ(OpenSplit(options, 1, false).held_out, 10);
  EXPECT_EQ(OpenSplit(options, 1, false).valid->size(), 10);
  options.hold_out_lines = 4;
  EXPECT_EQ(OpenSplit(options, 1, false).train.size(), 496);
  options.hold_out = 0;
  EXPECT_FALSE(OpenSplit(options, 1, false).valid.has_value());
  options.valid = Table(f.Write("v.tsv", "a\tA\n"));
  EXPECT_EQ(OpenSplit(options, 1, false).valid->size(), 1);
  EXPECT_EQ(OpenSplit(options, 1, false).held_out, 0);
  EXPECT_EQ(OpenSplit(options, 1, false).train.size(), 500);

  DataOptions single = f.Options();
  single.train = Table(f / "v.tsv");
  EXPECT_THAT(Message<UserError>([&] { OpenSplit(single, 1, false); }), HasSubstr("at least 2 usable lines"));
}

TEST(Corpus, Columns) {
  const Folder f;
  const std::string a = f.Write("a", "1\n2\n"), b = f.Write("b", "x\ny\n"), c = f.Write("c", "p\nq\n");
  const Corpus corpus = Corpus::OpenColumns({{a}, {b}, {c}}, f.Options(), "data.train");
  EXPECT_EQ(corpus.columns(), 3);
  EXPECT_THAT(Column(corpus, 2), ElementsAre("p", "q"));
  EXPECT_THAT(Column(Corpus::OpenColumns({{a}}, f.Options(), "data.train"), 0), ElementsAre("1", "2"));
}

TEST(Corpus, CacheThatCannotBeWritten) {
  const Folder f;
  DataOptions options = f.Options();
  options.cache = f.Write("file", "x") + "/cache";
  EXPECT_THAT(Message<SystemError>([&] { Corpus::Open(Table(f.Write("v.tsv", "a\tA\n")), options, false, "data.train"); }),
              HasSubstr("[data.cache] expected a folder that can be written"));
}

}  // namespace
}  // namespace attend::data
