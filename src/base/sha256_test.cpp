#include "base/sha256.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/sha256_rounds.h"

namespace fewbit {
namespace {

// NIST's example values for SHA-256 (FIPS 180-4 and its "Examples with Intermediate Values").
TEST(Sha256, StandardVectors) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
                       "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesGiveTheSameAsTheWhole) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (size_t length = 0; length <= text.size(); ++length) {
    for (const size_t piece : {1U, 3U, 55U, 63U, 64U, 65U}) {
      Sha256 hash;
      const std::string_view whole = std::string_view(text).substr(0, length);
      for (size_t at = 0; at < length; at += piece) hash.update(whole.substr(at, piece));
      ASSERT_EQ(hash.hex(), sha256_hex(whole)) << length << " in pieces of " << piece;
    }
  }
}

TEST(Sha256, InstructionsGiveTheSameAsThePlainRounds) {
  if (!internal::has_sha_instructions()) GTEST_SKIP() << "a processor without SHA instructions";
  std::vector<uint8_t> bytes(64 * 9);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i + i / 64);
  for (size_t blocks = 0; blocks <= 9; ++blocks) {
    internal::Sha256State plain = {1, 2, 3, 4, 5, 6, 7, 0xffffffff}, fast = plain;
    internal::sha256_blocks_plain(plain, bytes.data(), blocks);
    internal::sha256_blocks_x86(fast, bytes.data(), blocks);
    EXPECT_EQ(plain, fast) << blocks;
  }
}

TEST(Sha256, DigestDoesNotEndTheStream) {
  Sha256 hash;
  hash.update("ab");
  EXPECT_EQ(hash.hex(), sha256_hex("ab"));
  hash.update("c");
  EXPECT_EQ(hash.hex(), sha256_hex("abc"));
  Sha256 number;
  number.update_number(0x0102030405060708);
  EXPECT_EQ(number.hex(), sha256_hex("\x08\x07\x06\x05\x04\x03\x02\x01"));
}

}  // namespace
}  // namespace fewbit
