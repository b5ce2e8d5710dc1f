#include "attend/report/token.h"

#include <utf8proc.h>

#include <cstdio>

namespace attend::report {
namespace {

struct Character {
  utf8proc_int32_t code;  // -1: `bytes` is one byte that forms no character
  std::string_view bytes;
};

// Takes the next character off `rest`.
Character Next(std::string_view& rest) {
  utf8proc_int32_t code = -1;
  const auto size =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(rest.data()), static_cast<utf8proc_ssize_t>(rest.size()), &code);
  const size_t taken = size > 0 ? static_cast<size_t>(size) : 1;
  const Character c{size > 0 ? code : -1, rest.substr(0, taken)};
  rest.remove_prefix(taken);
  return c;
}

std::string Code(const char* format, unsigned value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

bool IsNonCharacter(utf8proc_int32_t c) { return (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF); }

// Characters that are invisible and change how others are shown. Joiners stay: emoji and Indic scripts need them.
bool IsHiddenFormat(utf8proc_int32_t c) {
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0x200B || c == 0x200E || c == 0x200F || c == 0x061C ||
         c == 0x2028 || c == 0x2029 || c == 0xFEFF || c == 0x00AD;
}

// What stands for an invisible character; empty for one that shows itself.
std::string Mark(utf8proc_int32_t c) {
  if (c == '\n') return "⏎";
  if (c == '\t') return "⇥";
  if (c >= 0 && c < 0x20) {
    std::string picture = "␀";  // U+2400; the pictures follow in order
    picture.back() = static_cast<char>(picture.back() + c);
    return picture;
  }
  if (c == 0x7F) return "␡";
  if ((c >= 0x80 && c < 0xA0) || IsHiddenFormat(c) || IsNonCharacter(c)) return Code("⟨U+%04X⟩", static_cast<unsigned>(c));
  return "";
}

std::string Visible(std::string_view bytes, bool controls, bool spaces) {
  std::string out;
  std::string hex;  // of a run of bytes that form no character
  const auto flush = [&] {
    if (!hex.empty()) out += "⟨" + hex + "⟩";
    hex.clear();
  };
  while (!bytes.empty()) {
    const Character c = Next(bytes);
    if (c.code < 0) {
      hex += Code(hex.empty() ? "%02X" : " %02X", static_cast<unsigned char>(c.bytes[0]));
      continue;
    }
    flush();
    const bool space = spaces && utf8proc_category(c.code) == UTF8PROC_CATEGORY_ZS;
    if (space) {
      out += c.code == ' ' ? "␣" : Code("⟨U+%04X⟩", static_cast<unsigned>(c.code));
    } else {
      const std::string mark = controls ? Mark(c.code) : "";
      out += mark.empty() ? std::string(c.bytes) : mark;
    }
  }
  flush();
  return out;
}

// +1 left to right, -1 right to left, 0 neither.
int Direction(utf8proc_int32_t c) {
  switch (utf8proc_get_property(c)->bidi_class) {
    case UTF8PROC_BIDI_CLASS_L:
      return 1;
    case UTF8PROC_BIDI_CLASS_R:
    case UTF8PROC_BIDI_CLASS_AL:
      return -1;
    default:
      return 0;
  }
}

}  // namespace

std::string ValidText(std::string_view bytes) { return Visible(bytes, false, false); }

std::string VisibleText(std::string_view bytes) { return Visible(bytes, true, false); }

std::string VisibleToken(std::string_view bytes) {
  if (bytes.empty()) return "∅";
  std::string_view rest = bytes;
  const Character first = Next(rest);
  const auto category = first.code < 0 ? UTF8PROC_CATEGORY_LU : utf8proc_category(first.code);
  const bool combining = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME || category == UTF8PROC_CATEGORY_MC;
  return (combining ? "◌" : "") + Visible(bytes, true, true);
}

std::vector<std::string> Graphemes(std::string_view text) {
  std::vector<std::string> out;
  utf8proc_int32_t previous = -1, state = 0;
  while (!text.empty()) {
    const Character c = Next(text);
    const bool join = previous >= 0 && c.code >= 0 && !utf8proc_grapheme_break_stateful(previous, c.code, &state);
    if (!join) out.emplace_back();
    out.back() += c.bytes;
    previous = c.code;
  }
  return out;
}

int DisplayWidth(std::string_view text) {
  int width = 0;
  for (const std::string& grapheme : Graphemes(text)) {
    int widest = 0;  // a base with its marks, or an emoji sequence, takes the room of its widest character
    for (std::string_view rest = grapheme; !rest.empty();) {
      const Character c = Next(rest);
      const int w = c.code < 0 ? 1 : utf8proc_charwidth(c.code);
      if (w > widest) widest = w;
    }
    width += widest;
  }
  return width;
}

std::string FitWidth(std::string_view text, int width, std::string_view ellipsis) {
  if (DisplayWidth(text) <= width) return std::string(text);
  std::string out;
  int used = 1;  // the ellipsis
  for (const std::string& grapheme : Graphemes(text)) {
    used += DisplayWidth(grapheme);
    if (used > width) break;
    out += grapheme;
  }
  return out + std::string(ellipsis);
}

bool StartsRightToLeft(std::string_view text) {
  while (!text.empty()) {
    const Character c = Next(text);
    const int direction = c.code < 0 ? 0 : Direction(c.code);
    if (direction != 0) return direction < 0;
  }
  return false;
}

bool IsRightToLeft(const std::vector<std::string>& tokens) {
  int64_t balance = 0;
  for (std::string_view token : tokens) {
    if (token.size() > 1 && (token.front() == '<' || token.front() == '[')) continue;  // markers such as </s> and [CLS] are no language
    while (!token.empty()) {
      const Character c = Next(token);
      if (c.code >= 0) balance += Direction(c.code);
    }
  }
  return balance < 0;
}

std::string EscapeMarkup(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace attend::report
