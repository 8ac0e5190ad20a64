#include "io/native/header.h"

#include <array>
#include <cstdint>

#include "base/check.h"
#include "base/sha256.h"
#include "io/json.h"

namespace fewbit::native {
namespace {

constexpr size_t kDigits = 64;
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The first digit of the header's hash, or npos. The text searched for has plain quotation marks,
// which inside a JSON string are escaped: it can only be the key itself.
size_t find_digits(std::string_view header) {
  const std::string before = json_quoted(kHeaderHashKey) + ":\"";
  const size_t at = header.find(before);
  if (at == header.npos || header.size() - at - before.size() < kDigits) return header.npos;
  return at + before.size();
}

std::string hash_with_blank(std::string_view header, size_t digits) {
  Sha256 hash;
  hash.update(header.substr(0, digits));
  hash.update(header_hash_blank());
  hash.update(header.substr(digits + kDigits));
  return hash.hex();
}

constexpr uint8_t kNoDigit = 0xff;

constexpr std::array<uint8_t, 256> digit_table() {
  std::array<uint8_t, 256> table{};
  table.fill(kNoDigit);
  for (size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  }
  return table;
}

}  // namespace

std::string header_hash_blank() {
  return std::string(kDigits, '0');
}

void seal_header(std::string& header) {
  const size_t digits = find_digits(header);
  FEWBIT_CHECK(digits != header.npos && header.substr(digits, kDigits) == header_hash_blank());
  header.replace(digits, kDigits, hash_with_blank(header, digits));
}

Status check_header_hash(std::string_view header) {
  const size_t digits = find_digits(header);
  if (digits == header.npos) return bad_input("the header has no {}", kHeaderHashKey);
  const std::string_view expected = header.substr(digits, kDigits);
  const std::string found = hash_with_blank(header, digits);
  if (found == expected) return {};
  return bad_input(
      "the header, bytes 0 to {}, has changed since it was written: its SHA-256 is {}, "
      "expected {}",
      header.size(), found, expected);
}

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t have = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < have ? static_cast<uint8_t>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += k <= have ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

Result<std::string> from_base64(std::string_view text) {
  static constexpr std::array<uint8_t, 256> kTable = digit_table();
  if (text.size() % 4 != 0) {
    return bad_input("base64 of {} characters, which is no multiple of 4", text.size());
  }
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    const size_t digits = i + 4 == text.size() ? 4 - padding : 4;
    uint32_t group = 0;
    for (size_t k = 0; k < 4; ++k) {
      const uint8_t digit = k < digits ? kTable[static_cast<uint8_t>(text[i + k])] : 0;
      if (digit == kNoDigit) return bad_input("character {} is not of base64", i + k);
      group = group << 6 | digit;
    }
    for (size_t k = 0; k + 1 < digits; ++k) bytes += static_cast<char>(group >> (16 - 8 * k));
    const uint32_t unused = digits == 4 ? 0 : group & (digits == 3 ? 0xffU : 0xffffU);
    if (unused != 0)
      return bad_input("character {} has bits that belong to no byte", i + digits - 1);
  }
  return bytes;
}

}  // namespace fewbit::native
