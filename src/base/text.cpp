#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace fewbit {
namespace {

template <typename Name>
std::string nearest_of(std::span<const Name> candidates, std::string_view word) {
  const int64_t allowed = std::max<int64_t>(1, static_cast<int64_t>(word.size()) / 3);
  int64_t best = allowed + 1;
  std::string_view found;
  for (const Name& candidate : candidates) {
    const int64_t distance = edit_distance(lower_case(candidate), lower_case(word));
    // A distance as long as the candidate itself shares no letter with the word.
    if (distance < best && distance < static_cast<int64_t>(candidate.size())) {
      best = distance;
      found = candidate;
    }
  }
  return std::string(found);
}

template <typename Name>
std::string suggestion(std::span<const Name> candidates, std::string_view word) {
  const std::string name = nearest_of(candidates, word);
  return name.empty() ? "" : fmt::format(" (did you mean '{}'?)", name);
}

/// Three significant digits, without an exponent: 1.50, 15.0, 150, 1500.
std::string three_digits(double value) {
  const double size = std::abs(value);
  return fmt::format("{:.{}f}", value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

template <typename T>
std::optional<T> parse_whole(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

int64_t edit_distance(std::string_view a, std::string_view b) {
  const size_t columns = b.size() + 1;
  std::vector<int64_t> before_last(columns);
  std::vector<int64_t> last(columns);
  std::vector<int64_t> row(columns);
  for (size_t j = 0; j < columns; ++j) row[j] = static_cast<int64_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j < columns; ++j) {
      const int64_t replaced = last[j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

std::string nearest_name(std::span<const std::string_view> candidates, std::string_view word) {
  return nearest_of(candidates, word);
}
std::string nearest_name(std::span<const std::string> candidates, std::string_view word) {
  return nearest_of(candidates, word);
}
std::string did_you_mean(std::span<const std::string_view> candidates, std::string_view word) {
  return suggestion(candidates, word);
}
std::string did_you_mean(std::span<const std::string> candidates, std::string_view word) {
  return suggestion(candidates, word);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

namespace {
template <typename T>
std::string join_parts(std::span<const T> parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}
}  // namespace

std::string join(std::span<const std::string> parts, std::string_view separator) {
  return join_parts(parts, separator);
}
std::string join(std::span<const std::string_view> parts, std::string_view separator) {
  return join_parts(parts, separator);
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length > text.size() - i) return false;
    uint32_t code = lead & (0xffU >> (length + 1));
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<uint8_t>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      code = (code << 6) | (next & 0x3f);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    i += length;
  }
  return true;
}

std::optional<int64_t> parse_int64(std::string_view text) {
  return parse_whole<int64_t>(text);
}
std::optional<double> parse_double(std::string_view text) {
  return parse_whole<double>(text);
}

std::string human_bytes(int64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes > -1024 && bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024.0;
  size_t unit = 0;
  // 1023.5 and above would print as 1024 of the smaller unit.
  for (; std::abs(value) >= 1023.5 && unit + 1 < kUnits.size(); ++unit) value /= 1024.0;
  return fmt::format("{} {}", three_digits(value), kUnits[unit]);
}

std::string human_count(double count) {
  constexpr std::array<std::string_view, 6> kUnits = {"k", "M", "G", "T", "P", "E"};
  if (std::abs(count) < 999.5) {
    return count == std::floor(count) ? fmt::format("{:.0f}", count) : three_digits(count);
  }
  double value = count / 1000.0;
  size_t unit = 0;
  for (; std::abs(value) >= 999.5 && unit + 1 < kUnits.size(); ++unit) value /= 1000.0;
  return fmt::format("{} {}", three_digits(value), kUnits[unit]);
}

std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  if (seconds < 0) return fmt::format("-{}", human_seconds(-seconds));
  if (seconds < 999.5e-9) return fmt::format("{:.0f} ns", seconds * 1e9);
  if (seconds < 999.5e-6) return fmt::format("{} us", three_digits(seconds * 1e6));
  if (seconds < 999.5e-3) return fmt::format("{} ms", three_digits(seconds * 1e3));
  if (seconds < 99.95) return fmt::format("{} s", three_digits(seconds));
  const double whole = std::round(seconds);
  if (whole < 3600) {
    return fmt::format("{:.0f} min {:02.0f} s", std::floor(whole / 60), std::fmod(whole, 60));
  }
  const double minutes = std::round(seconds / 60);
  return fmt::format("{:.0f} h {:02.0f} min", std::floor(minutes / 60), std::fmod(minutes, 60));
}

}  // namespace fewbit
