#include "attend/data/corpus.h"

#include <algorithm>

#include "attend/base/error.h"
#include "attend/base/file.h"
#include "attend/data/cache.h"
#include "attend/data/corpus_index.h"
#include "attend/data/permutation.h"
#include "attend/data/text_file.h"
#include "attend/kernels/random.h"

namespace attend::data {
namespace {

std::string Grouped(int64_t n) {
  std::string out = std::to_string(n);
  for (auto i = static_cast<int>(out.size()) - 3; i > 0; i -= 3) out.insert(static_cast<size_t>(i), ",");
  return out;
}

// The n-th tab separated cell; empty when there are fewer.
std::string_view Cell(std::string_view row, int n) {
  for (; n > 0; n--) {
    const size_t tab = row.find('\t');
    if (tab == std::string_view::npos) return {};
    row.remove_prefix(tab + 1);
  }
  return row.substr(0, row.find('\t'));
}

}  // namespace

std::string Counts::Summary() const {
  std::string out = Grouped(lines) + " lines, " + Grouped(kept) + " kept";
  std::string_view before = "; skipped: ";
  const std::pair<int64_t, std::string_view> reasons[] = {
      {empty, " empty"}, {ill_encoded, " ill-encoded"}, {too_long, " with too many bytes"}, {malformed, " malformed"}};
  for (const auto& [count, reason] : reasons) {
    if (count == 0) continue;
    out += std::string(before) + Grouped(count) + std::string(reason);
    before = ", ";
  }
  return out;
}

// One line's record in the index: its number, then its offset in each stored text (a table is one).
struct Corpus::Store {
  std::vector<TextFiles> texts;
  bool table = false, reverse = false, links = false;
  int columns = 2;
  IndexFile index;
  Counts counts;

  uint64_t Offset(int64_t record, size_t text) const { return index.Row(record)[1 + text]; }
  // A column as the files have it: with `reverse` unset.
  std::string_view Column(std::span<const std::string_view> lines, int column) const {
    return table ? Cell(lines[0], column) : lines[static_cast<size_t>(column)];
  }
  int FileColumn(int column) const { return reverse && column < 2 ? 1 - column : column; }
  void Read(const DataOptions& options, const Path& cache, std::string_view part);

 private:
  int64_t* Fault(std::span<const std::string_view> lines, const DataOptions& options, std::vector<Link>& scratch);
  void ExpectEqualLengths(std::vector<LineCursor>& cursors, size_t file, std::string_view part) const;
  int64_t linked_ = 0;  // lines with a link
};

// Which count a line that cannot be used belongs to; null: it can be used.
int64_t* Corpus::Store::Fault(std::span<const std::string_view> lines, const DataOptions& options, std::vector<Link>& scratch) {
  if (table && lines[0].find('\t') == std::string_view::npos) {
    return lines[0].find_first_not_of(" \v\f") == std::string_view::npos ? &counts.empty : &counts.malformed;
  }
  for (int c = 0; c < columns; c++) {
    const std::string_view text = Column(lines, c);
    if (text.size() > static_cast<uint64_t>(options.max_bytes)) return &counts.too_long;
    if (!IsCleanText(text)) return &counts.ill_encoded;
    if (IsBlank(text)) return &counts.empty;
  }
  if (!links) return nullptr;
  if (!ParseLinks(Column(lines, columns), scratch)) return &counts.malformed;
  if (scratch.empty()) return nullptr;
  const int32_t sources = CountWords(Column(lines, 0)), targets = CountWords(Column(lines, 1));
  for (const Link& link : scratch)
    if (link.source >= sources || link.target >= targets) return &counts.malformed;
  linked_++;
  return nullptr;
}

void Corpus::Store::ExpectEqualLengths(std::vector<LineCursor>& cursors, size_t file, std::string_view part) const {
  for (size_t c = 1; c < cursors.size(); c++) {
    const int64_t first = cursors[0].CountAll(), other = cursors[c].CountAll();
    if (first == other) continue;
    throw UserError(
        part, "aligned files with the same number of lines",
        texts[0].name(file) + " with " + std::to_string(first) + " and " + texts[c].name(file) + " with " + std::to_string(other));
  }
}

void Corpus::Store::Read(const DataOptions& options, const Path& cache, std::string_view part) {
  IndexWriter writer(cache, 1 + texts.size());
  std::vector<uint64_t> row(1 + texts.size());
  std::vector<std::string_view> lines(texts.size());
  std::vector<Link> scratch;
  for (size_t file = 0; file < texts[0].size(); file++) {
    std::vector<LineCursor> cursors;
    for (const TextFiles& text : texts) cursors.emplace_back(text.text(file));
    while (true) {
      size_t alive = 0;
      for (LineCursor& cursor : cursors) alive += cursor.Next();
      if (alive != cursors.size()) break;
      row[0] = static_cast<uint64_t>(counts.lines++);
      for (size_t c = 0; c < cursors.size(); c++) {
        lines[c] = cursors[c].line();
        row[1 + c] = texts[c].base(file) + cursors[c].offset();
      }
      if (int64_t* fault = Fault(lines, options, scratch)) {
        ++*fault;
      } else {
        writer.Append(row);
      }
    }
    ExpectEqualLengths(cursors, file, part);
  }
  index = writer.Finish();
  counts.kept = index.rows();
  if (counts.kept == 0) throw UserError(part, "at least one usable line", counts.Summary());
  if (links && linked_ == 0) throw UserError(part, "word links (i-j ...) beside the text", "none in " + Grouped(counts.kept) + " lines");
  for (const TextFiles& text : texts) text.ExpectRandom();
}

Corpus::Corpus(std::shared_ptr<const Store> store) : store_(std::move(store)) {}

Corpus Corpus::OpenColumns(const std::vector<std::vector<std::string>>& columns, const DataOptions& options, std::string_view part) {
  const Path cache = CacheFolder(options.cache);
  auto store = std::make_shared<Store>();
  store->columns = static_cast<int>(columns.size());
  for (const auto& files : columns) {
    if (files.empty() || files.size() != columns[0].size()) {
      throw UserError(part, "as many files in every column", std::to_string(columns[0].size()) + " and " + std::to_string(files.size()));
    }
    store->texts.emplace_back(files, cache, part);
  }
  store->Read(options, cache, part);
  return Corpus(std::move(store));
}

Corpus Corpus::Open(const FilesOptions& files, const DataOptions& options, bool links, std::string_view part) {
  const std::string name(part);
  const bool table = !files.tsv.empty();
  if (table && !(files.source.empty() && files.target.empty() && files.alignments.empty())) {
    throw UserError(part, "either tsv, or source and target", "both");
  }
  if (!table && files.source.empty() && files.target.empty()) throw UserError(part, "source and target, or tsv", "neither");
  if (!table && files.source.size() != files.target.size()) {
    throw UserError(part, "as many source files as target files",
                    std::to_string(files.source.size()) + " source and " + std::to_string(files.target.size()) + " target");
  }
  if (!table && links && files.alignments.size() != files.source.size()) {
    throw UserError(name + ".alignments", "a file of word links for each source file", std::to_string(files.alignments.size()));
  }

  const Path cache = CacheFolder(options.cache);
  auto store = std::make_shared<Store>();
  store->table = table;
  store->reverse = files.reverse;
  store->links = links;
  if (table) {
    store->texts.emplace_back(files.tsv.values(), cache, name + ".tsv");
  } else {
    store->texts.emplace_back(files.source.values(), cache, name + ".source");
    store->texts.emplace_back(files.target.values(), cache, name + ".target");
    if (links) store->texts.emplace_back(files.alignments.values(), cache, name + ".alignments");
  }
  store->Read(options, cache, part);
  return Corpus(std::move(store));
}

int64_t Corpus::size() const {
  const auto chosen = static_cast<int64_t>(chosen_.size());
  return only_chosen_ ? chosen : store_->index.rows() - chosen;
}
int Corpus::columns() const { return store_->columns; }
bool Corpus::has_links() const { return store_->links; }
const Counts& Corpus::counts() const { return store_->counts; }

int64_t Corpus::Record(int64_t example) const {
  if (only_chosen_) return chosen_[static_cast<size_t>(example)];
  // The example-th record that is not chosen: before the j-th chosen one lie chosen_[j] - j others.
  int64_t low = 0, high = static_cast<int64_t>(chosen_.size());
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (chosen_[static_cast<size_t>(middle)] - middle <= example)
      low = middle + 1;
    else
      high = middle;
  }
  return example + low;
}

int64_t Corpus::Line(int64_t example) const { return static_cast<int64_t>(store_->index.Row(Record(example))[0]); }

std::string_view Corpus::Text(int64_t example, int column) const {
  const int64_t record = Record(example);
  const int from = store_->FileColumn(column);
  if (store_->table) return Cell(store_->texts[0].LineAt(store_->Offset(record, 0)), from);
  const auto text = static_cast<size_t>(from);
  return store_->texts[text].LineAt(store_->Offset(record, text));
}

std::vector<Link> Corpus::Links(int64_t example) const {
  std::vector<Link> links;
  ParseLinks(Text(example, store_->columns), links);
  if (store_->reverse)
    for (Link& link : links) std::swap(link.source, link.target);
  return links;
}

std::pair<Corpus, Corpus> Corpus::HoldOut(int64_t lines, uint64_t seed) const {
  const Permutation order(size(), random::RowKey(seed, random::Purpose("data:hold_out"), 0, 0));
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < std::min(lines, size()); i++) chosen.push_back(order(i));
  std::sort(chosen.begin(), chosen.end());
  Corpus rest(store_), part(store_);
  rest.chosen_ = part.chosen_ = std::move(chosen);
  part.only_chosen_ = true;
  return {std::move(rest), std::move(part)};
}

Split OpenSplit(const DataOptions& options, uint64_t seed, bool links) {
  Corpus all = Corpus::Open(options.train, options, links, "data.train");
  if (!options.valid.empty()) return {std::move(all), Corpus::Open(options.valid, options, false, "data.valid")};
  if (options.hold_out == 0) return {std::move(all), std::nullopt};
  const auto share = static_cast<int64_t>(options.hold_out * static_cast<double>(all.size()));
  const int64_t lines = std::min(options.hold_out_lines, std::max<int64_t>(share, 1));
  if (lines >= all.size())
    throw UserError("data.train", "at least 2 usable lines, to hold some out for validation", std::to_string(all.size()));
  auto [train, valid] = all.HoldOut(lines, seed);
  return {std::move(train), std::move(valid), lines};
}

}  // namespace attend::data
