#pragma once
// Small helpers on text: for error messages, for recipes and for tables.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fewbit {

/// Number of single-character edits (insert, delete, replace, swap of neighbours) from a to b:
/// the restricted Damerau-Levenshtein distance. Cost: |a| * |b|.
int64_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, or "" if none is near enough to be worth suggesting (more than
/// a third of the word's letters, and more than one, would have to change). Ties: the first.
std::string nearest_name(std::span<const std::string_view> candidates, std::string_view word);
std::string nearest_name(std::span<const std::string> candidates, std::string_view word);

/// " (did you mean 'NAME'?)" for the end of an error message, or "" if nothing is near.
std::string did_you_mean(std::span<const std::string_view> candidates, std::string_view word);
std::string did_you_mean(std::span<const std::string> candidates, std::string_view word);

/// `text` without white space at its ends.
std::string_view trim(std::string_view text);

/// The parts between separators; always one more part than separators ("" gives one empty part).
std::vector<std::string_view> split(std::string_view text, char separator);

/// The parts with `separator` between them.
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string join(std::span<const std::string_view> parts, std::string_view separator);

/// Lower case of ASCII letters; all other bytes stay.
std::string lower_case(std::string_view text);

/// Whether `text` is UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above
/// U+10FFFF.
bool is_utf8(std::string_view text);

/// The whole of `text` as a number, or nothing: "12" yes, "12x", "" and " 12" no.
std::optional<int64_t> parse_int64(std::string_view text);
std::optional<double> parse_double(std::string_view text);

/// Binary units with three significant digits: "0 B", "999 B", "1.50 KiB", "14.1 MiB".
std::string human_bytes(int64_t bytes);

/// Decimal units with three significant digits: "999", "1.50 k", "300 M", "1.24 G".
std::string human_count(double count);

/// A duration: "820 ns", "3.41 ms", "12.0 s", "4 min 05 s", "2 h 03 min".
std::string human_seconds(double seconds);

}  // namespace fewbit
