#pragma once

#include <cstdint>
#include <string>

#include "attend/config/one_or_many.h"

namespace attend::data {

// Where the lines of one set of examples come from: aligned files, tables, or a text as it is. Each list is read as one text.
struct FilesOptions {
  using Files = config::OneOrMany<std::string>;

  Files source, target, tsv, alignments, text;
  bool reverse = false;

  bool empty() const { return source.empty() && target.empty() && tsv.empty() && text.empty(); }

  template <class F>
  static void Declare(F& field) {
    field("source", &FilesOptions::source, "source text, one sentence a line, UTF-8, plain or gzip: a file or a list of files");
    field("target", &FilesOptions::target, "target text, line for line: as many files as source");
    field("tsv", &FilesOptions::tsv, "instead of source and target: lines of source TAB target [TAB word links i-j ...]");
    field("alignments", &FilesOptions::alignments,
          "word links of each line, i-j ... (source word - target word, from 0); of aligned files");
    field("text", &FilesOptions::text, "of a language model: running text, UTF-8, plain or gzip; its line ends belong to it");
    field("reverse", &FilesOptions::reverse, "exchange source and target, and the sides of word links");
  }
};

struct DataOptions {
  FilesOptions train, valid;
  double hold_out = 0.02;
  int64_t hold_out_lines = 1000;
  int64_t context = 128;
  int64_t max_length = 250;
  int64_t max_bytes = 20000;
  int64_t window = 32768;
  std::string cache;

  template <class F>
  static void Declare(F& field) {
    field("train", &DataOptions::train, "the text to learn from");
    field("valid", &DataOptions::valid, "the text that chooses when to stop and what to keep; absent: a part of train is held out");
    field("hold_out", &DataOptions::hold_out, "share of the training lines held out when there is no valid").Range(0.0, 0.5);
    field("hold_out_lines", &DataOptions::hold_out_lines, "the most that is held out").Min(1).Unit("lines");
    field("context", &DataOptions::context,
          "of a language model: tokens of a piece of text, the most that attention looks back; a recurrent state is carried from piece to "
          "piece")
        .Range(1, 1e7)
        .Unit("tokens");
    field("max_length", &DataOptions::max_length, "training lines with more tokens on either side are skipped and counted")
        .Min(1)
        .Unit("tokens");
    field("max_bytes", &DataOptions::max_bytes, "lines with more bytes on either side are skipped and counted")
        .Min(1)
        .Unit("bytes")
        .Advanced();
    field("window", &DataOptions::window, "lines of the shuffled order within which batches are bucketed by length")
        .Min(1)
        .Unit("lines")
        .Advanced();
    field("cache", &DataOptions::cache, "folder for unpacked gzip files and temporary indices; default: attend in the user's cache folder")
        .Advanced();
  }
};

}  // namespace attend::data
