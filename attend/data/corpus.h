#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attend/data/links.h"
#include "attend/data/options.h"

namespace attend::data {

// What became of the lines of a corpus.
struct Counts {
  int64_t lines = 0;  // read; a line is one line of every column
  int64_t kept = 0;
  int64_t empty = 0;        // nothing but white space in some column
  int64_t ill_encoded = 0;  // not UTF-8, or with a NUL byte
  int64_t too_long = 0;     // of more than max_bytes
  int64_t malformed = 0;    // a table's line without a second column, word links that are not i-j or beyond the words

  int64_t skipped() const { return lines - kept; }
  // "29,000 lines, 28,991 kept; skipped: 3 empty, 6 ill-encoded"
  std::string Summary() const;
};

// Aligned lines of text on disk: mapped files and an index of the usable lines in an unlinked temporary file, so that memory does not
// grow with the corpus. A cheap handle; thread-safe. Example e is the e-th usable line; Line(e) its number in the files, from 0.
class Corpus {
 public:
  // Columns 0 (source) and 1 (target); with `links` the word links too. Reads every line once to check it.
  // UserError, naming `part` (the option's path, "data.train"): missing, empty or binary files, different numbers of lines, nothing
  // usable. SystemError: the cache folder cannot be written.
  static Corpus Open(const FilesOptions& files, const DataOptions& options, bool links, std::string_view part);
  // Several columns of aligned texts, for tasks with other columns than source and target.
  static Corpus OpenColumns(const std::vector<std::vector<std::string>>& columns, const DataOptions& options, std::string_view part);

  int64_t size() const;
  int columns() const;
  bool has_links() const;
  int64_t Line(int64_t example) const;
  std::string_view Text(int64_t example, int column) const;  // without line end
  std::vector<Link> Links(int64_t example) const;
  const Counts& counts() const;  // of the files, before any hold-out

  // The corpus without, and with only, `lines` examples chosen under `seed`. Both keep the corpus's line numbers.
  std::pair<Corpus, Corpus> HoldOut(int64_t lines, uint64_t seed) const;

 private:
  struct Store;
  explicit Corpus(std::shared_ptr<const Store> store);
  int64_t Record(int64_t example) const;

  std::shared_ptr<const Store> store_;
  std::vector<int64_t> chosen_;  // sorted; the held-out records
  bool only_chosen_ = false;     // the held-out part, else the rest
};

// What a training run reads.
struct Split {
  Corpus train;
  std::optional<Corpus> valid;  // absent when neither given nor held out
  int64_t held_out = 0;         // lines of the training files that became valid: to be told to the user
};
Split OpenSplit(const DataOptions& options, uint64_t seed, bool links);

}  // namespace attend::data
