#include "attend/text/normaliser.h"

#include <utf8proc.h>

#include <array>
#include <limits>

#include "attend/base/error.h"
#include "attend/base/utf8.h"

namespace attend::text {
namespace {

// A run of code points of which Unicode composition may join some, and which it treats apart from all others. Longer runs (which only
// hostile text holds) are cut, as Unicode's stream-safe text format cuts them.
constexpr size_t kRun = 32;
constexpr size_t kExpansion = 18;  // code points of the longest compatibility decomposition (U+FDFA)

// Whether a code point may compose with, or be sorted among, what stands before it: a mark, or a Hangul vowel or final jamo.
bool JoinsBefore(char32_t c) {
  if (c < 0x300) return false;
  if ((c >= 0x1160 && c <= 0x11FF) || (c >= 0xD7B0 && c <= 0xD7FF)) return true;
  const utf8proc_property_t* p = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  return p->combining_class != 0 || p->category == UTF8PROC_CATEGORY_MN || p->category == UTF8PROC_CATEGORY_MC ||
         p->category == UTF8PROC_CATEGORY_ME;
}

char32_t Lower(char32_t c) { return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))); }

class Run {
 public:
  Run(const Normaliser& options, Normalised& out) : options_(options), out_(out) {}

  // Takes a code point of the raw line.
  void Add(char32_t c, ByteRange origin) {
    if (options_.form == UnicodeForm::none) {
      Emit(options_.lowercase ? Lower(c) : c, origin);
      return;
    }
    std::array<utf8proc_int32_t, kExpansion> parts;
    size_t n = Decompose(c, parts.data(), parts.size());
    if (options_.lowercase) {
      // Case is mapped between decomposition and composition, and what it yields decomposed again, so that all is stable.
      std::array<utf8proc_int32_t, kExpansion> upper = parts;
      size_t out = 0;
      for (size_t i = 0; i < n; i++) out += Decompose(Lower(static_cast<char32_t>(upper[i])), parts.data() + out, parts.size() - out);
      n = out;
    }
    if (!JoinsBefore(static_cast<char32_t>(parts[0])) || size_ + n > points_.size()) Flush();
    if (size_ == 0) origin_ = origin;
    origin_.end = origin.end;
    for (size_t i = 0; i < n; i++) points_[size_++] = parts[i];
  }

  // Takes a code point that nothing joins: a space, or ASCII before ASCII.
  void AddAlone(char c, ByteRange origin) {
    Flush();
    const bool upper = options_.lowercase && c >= 'A' && c <= 'Z';
    Emit(static_cast<char32_t>(upper ? c - 'A' + 'a' : c), origin);
  }

  void Flush() {
    if (size_ == 0) return;
    Sort();
    const auto n = utf8proc_normalize_utf32(points_.data(), static_cast<utf8proc_ssize_t>(size_),
                                            static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    for (utf8proc_ssize_t i = 0; i < n; i++) Emit(static_cast<char32_t>(points_[static_cast<size_t>(i)]), origin_);
    size_ = 0;
  }

 private:
  size_t Decompose(char32_t c, utf8proc_int32_t* to, size_t room) const {
    const auto compat = options_.form == UnicodeForm::nfkc ? UTF8PROC_COMPAT : 0;
    int unused = 0;
    const auto n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), to, static_cast<utf8proc_ssize_t>(room),
                                           static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | compat), &unused);
    if (n >= 1 && static_cast<size_t>(n) <= room) return static_cast<size_t>(n);
    to[0] = static_cast<utf8proc_int32_t>(c);
    return 1;
  }

  // Canonical ordering: marks by combining class, stable.
  void Sort() {
    const auto rank = [this](size_t i) { return utf8proc_get_property(points_[i])->combining_class; };
    for (size_t i = 1; i < size_; i++)
      for (size_t j = i; j > 0 && rank(j) != 0 && rank(j - 1) > rank(j); j--) std::swap(points_[j], points_[j - 1]);
  }

  void Emit(char32_t c, ByteRange origin) {
    if (c == ' ' && options_.collapse_spaces && (out_.text.empty() || out_.text.back() == ' ')) return;
    utf8::Append(c, out_.text);
    out_.origins.resize(out_.text.size(), origin);
  }

  const Normaliser& options_;
  Normalised& out_;
  std::array<utf8proc_int32_t, kRun + kExpansion> points_;
  size_t size_ = 0;
  ByteRange origin_;
};

}  // namespace

Normalised Normaliser::Apply(std::string_view line, bool leading_space) const {
  if (line.size() >= std::numeric_limits<uint32_t>::max())
    throw UserError("text", "a line of less than 4 GiB", std::to_string(line.size()) + " bytes");
  Normalised out;
  out.text.reserve(line.size() + line.size() / 4);
  out.origins.reserve(line.size() + line.size() / 4);
  if (leading_space && !line.empty()) {
    out.text = " ";
    out.origins.resize(1);
  }
  Run run(*this, out);
  for (uint32_t i = 0; i < line.size();) {
    const utf8::CodePoint c = utf8::Next(line.substr(i));
    const ByteRange origin{i, i + c.length};
    i += c.length;
    if (utf8::IsSpace(c.value) && (collapse_spaces || c.value == ' '))
      run.AddAlone(' ', origin);
    else if (c.value < 0x80 && (i == line.size() || static_cast<unsigned char>(line[i]) < 0x80))
      run.AddAlone(static_cast<char>(c.value), origin);
    else
      run.Add(c.value, origin);
  }
  run.Flush();
  if (collapse_spaces && !out.text.empty() && out.text.back() == ' ') {
    out.text.pop_back();
    out.origins.pop_back();
  }
  return out;
}

std::vector<ByteRange> Words(std::string_view line) {
  std::vector<ByteRange> words;
  bool inside = false;
  for (uint32_t i = 0; i < line.size();) {
    const utf8::CodePoint c = utf8::Next(line.substr(i));
    if (utf8::IsSpace(c.value)) {
      inside = false;
    } else {
      if (!inside) words.push_back({i, i});
      inside = true;
      words.back().end = i + c.length;
    }
    i += c.length;
  }
  return words;
}

}  // namespace attend::text
