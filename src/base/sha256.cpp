#include "base/sha256.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/sha256_rounds.h"

namespace fewbit {
namespace {

uint32_t big_endian_word(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3];
}

void take_block(internal::Sha256State& state, const uint8_t* bytes) {
  std::array<uint32_t, 64> w;
  for (size_t t = 0; t < 16; ++t) w[t] = big_endian_word(bytes + 4 * t);
  for (size_t t = 16; t < 64; ++t) {
    const uint32_t s0 = std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
    const uint32_t s1 = std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
    w[t] = s1 + w[t - 7] + s0 + w[t - 16];
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (size_t t = 0; t < 64; ++t) {
    const uint32_t sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + internal::kSha256Rounds[t] + w[t];
    const uint32_t sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const std::array<uint32_t, 8> added = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < 8; ++i) state[i] += added[i];
}

}  // namespace

void internal::sha256_blocks_plain(Sha256State& state, const uint8_t* bytes, size_t blocks) {
  for (; blocks > 0; --blocks, bytes += 64) take_block(state, bytes);
}

void Sha256::take_blocks(const uint8_t* bytes, size_t blocks) {
  static const bool fast = internal::has_sha_instructions();
  if (fast) {
    internal::sha256_blocks_x86(state_, bytes, blocks);
  } else {
    internal::sha256_blocks_plain(state_, bytes, blocks);
  }
}

void Sha256::update(std::span<const std::byte> bytes) {
  const auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
  size_t left = bytes.size();
  const size_t filled = bytes_ % 64;
  bytes_ += left;
  if (filled > 0) {
    const size_t taken = std::min(left, 64 - filled);
    if (taken > 0) std::memcpy(pending_.data() + filled, p, taken);
    p += taken;
    left -= taken;
    if (filled + taken < 64) return;
    take_blocks(pending_.data(), 1);
  }
  take_blocks(p, left / 64);
  p += left / 64 * 64;
  left %= 64;
  if (left > 0) std::memcpy(pending_.data(), p, left);
}

void Sha256::update_number(uint64_t value) {
  std::array<std::byte, 8> bytes;
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
  update(bytes);
}

std::array<uint8_t, 32> Sha256::digest() const {
  // Padding (FIPS 180-4, 5.1.1): a one bit, zeros, the length in bits; on a copy, so that the
  // stream may go on.
  Sha256 last = *this;
  std::array<std::byte, 72> padding{};
  padding[0] = std::byte{0x80};
  const size_t zeros_end = (bytes_ % 64 < 56 ? 56 : 120) - bytes_ % 64;
  const uint64_t bits = bytes_ * 8;
  for (size_t i = 0; i < 8; ++i) {
    padding[zeros_end + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
  }
  last.update(std::span(padding).first(zeros_end + 8));
  std::array<uint8_t, 32> out;
  for (size_t i = 0; i < 32; ++i) {
    out[i] = static_cast<uint8_t>(last.state_[i / 4] >> (24 - 8 * (i % 4)));
  }
  return out;
}

std::string Sha256::hex() const {
  std::string text;
  for (const uint8_t byte : digest()) text += fmt::format("{:02x}", byte);
  return text;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_hex(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text)));
}

}  // namespace fewbit
