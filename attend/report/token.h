#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attend::report {

// Tokens are bytes from anywhere: a piece may hold part of a character, a newline, a terminal escape or a bidirectional override.
// These functions make them safe and legible; every renderer uses them.

// UTF-8; bytes that form no character stand as ⟨E4⟩.
std::string ValidText(std::string_view bytes);

// One line of text: ValidText with control and bidirectional formatting characters marked (⏎, ⇥, ␛, ⟨U+202E⟩). Spaces stay.
std::string VisibleText(std::string_view bytes);

// A token: VisibleText with spaces marked (␣), a leading combining mark on a dotted circle, and ∅ for an empty token.
std::string VisibleToken(std::string_view bytes);

// User-perceived characters (Unicode Standard Annex 29) of valid UTF-8.
std::vector<std::string> Graphemes(std::string_view text);

// Columns that valid UTF-8 takes in a terminal.
int DisplayWidth(std::string_view text);

// `text` cut between graphemes to at most `width` columns, its end replaced by `ellipsis` (one column) where it was cut.
std::string FitWidth(std::string_view text, int width, std::string_view ellipsis);

// The direction of the first strong character; of a sentence, that of most of its strong characters.
bool StartsRightToLeft(std::string_view text);
bool IsRightToLeft(const std::vector<std::string>& tokens);

// `text` with &, <, > and quotes as entities: for HTML and XML, content and attributes.
std::string EscapeMarkup(std::string_view text);

}  // namespace attend::report
