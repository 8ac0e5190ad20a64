#include "formats/code_packing.h"

#include <algorithm>
#include <array>
#include <vector>

#include "formats/code_planes.h"

namespace fewbit::formats {
namespace {

constexpr uint8_t kZeroTrit = 1;

// Code k of a group that may end with the row.
uint8_t trit_or_zero(const uint8_t* codes, int64_t count, int64_t at) {
  return at < count ? codes[at] : kZeroTrit;
}

void pack_five(const uint8_t* codes, int64_t count, uint8_t* bytes) {
  for (int64_t at = 0; at < count; at += 5) {
    int n = 0;
    for (int64_t k = 0; k < 5; ++k) n = n * 3 + trit_or_zero(codes, count, at + k);
    *bytes++ = static_cast<uint8_t>((n * 256 + 242) / 243);
  }
}

void unpack_five(const uint8_t* bytes, int64_t count, uint8_t* codes) {
  for (int64_t at = 0; at < count; at += 5) {
    int shifted = *bytes++;
    for (int64_t k = at; k < std::min(at + 5, count); ++k) {
      codes[k] = static_cast<uint8_t>(shifted * 3 >> 8);
      shifted = shifted * 3 & 0xff;
    }
  }
}

constexpr int64_t triples(int64_t count) {
  return (count + 2) / 3;
}

void pack_three(const uint8_t* codes, int64_t count, uint8_t* bytes) {
  std::vector<uint8_t> fives(static_cast<size_t>(triples(count)));
  for (int64_t i = 0; i < triples(count); ++i) {
    int n = 0;
    for (int64_t k = 0; k < 3; ++k) n = n * 3 + trit_or_zero(codes, count, i * 3 + k) - kZeroTrit;
    fives[static_cast<size_t>(i)] = static_cast<uint8_t>(n < 0 ? 16 - n : n);
  }
  pack_planes(fives.data(), triples(count), 5, bytes);
}

// The three codes of each of the 32 patterns; indices past 13 mean 13.
constexpr std::array<std::array<uint8_t, 3>, 32> make_triples() {
  std::array<std::array<uint8_t, 3>, 32> table{};
  for (int pattern = 0; pattern < 32; ++pattern) {
    const int index = (pattern & 15) > 13 ? 13 : pattern & 15;
    const int n = (pattern < 16 ? index : -index) + 13;  // in [0, 26]: base 3 of the codes
    table[static_cast<size_t>(pattern)] = {
        static_cast<uint8_t>(n / 9), static_cast<uint8_t>(n / 3 % 3), static_cast<uint8_t>(n % 3)};
  }
  return table;
}

void unpack_three(const uint8_t* bytes, int64_t count, uint8_t* codes) {
  static constexpr auto kTriples = make_triples();
  std::vector<uint8_t> fives(static_cast<size_t>(triples(count)));
  unpack_planes(bytes, triples(count), 5, fives.data());
  for (int64_t at = 0; at < count; ++at) {
    codes[at] = kTriples[fives[static_cast<size_t>(at / 3)]][static_cast<size_t>(at % 3)];
  }
}

}  // namespace

int64_t packed_row_bytes(CodePacking packing, int64_t count, int bits) {
  switch (packing) {
    case CodePacking::kTrits5In8:
      return (count + 4) / 5;
    case CodePacking::kTrits3In5:
      return plane_bytes(triples(count), 5);
    default:
      return plane_bytes(count, bits);
  }
}

void pack_row(CodePacking packing, const uint8_t* codes, int64_t count, int bits, uint8_t* bytes) {
  switch (packing) {
    case CodePacking::kTrits5In8:
      pack_five(codes, count, bytes);
      return;
    case CodePacking::kTrits3In5:
      pack_three(codes, count, bytes);
      return;
    default:
      pack_planes(codes, count, bits, bytes);
  }
}

void unpack_row(CodePacking packing, const uint8_t* bytes, int64_t count, int bits,
                uint8_t* codes) {
  switch (packing) {
    case CodePacking::kTrits5In8:
      unpack_five(bytes, count, codes);
      return;
    case CodePacking::kTrits3In5:
      unpack_three(bytes, count, codes);
      return;
    default:
      unpack_planes(bytes, count, bits, codes);
  }
}

}  // namespace fewbit::formats
