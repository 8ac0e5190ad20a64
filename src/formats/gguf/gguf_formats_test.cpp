// The block formats of GGUF files: golden bytes, decoding by the drawings, bounds, and what the
// search promises. tests/interop/test_gguf_formats.py compares with ggml itself.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <string>

#include "formats/format.h"
#include "formats/format_table.h"
#include "formats/gguf/block_codec.h"
#include "numerics/half.h"

namespace fewbit {
namespace {

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const FormatRow& row : formats::gguf_rows()) all.emplace_back(row.name);
  return all;
}

class GgufFormat : public testing::TestWithParam<std::string> {
 protected:
  Format format() const { return parse_format(GetParam()).value(); }
  int64_t block() const { return format().group_elems; }

  PackedMatrix packed(const std::vector<float>& x, int64_t rows, bool search,
                      std::span<const float> importance = {}) const {
    const auto cols = static_cast<int64_t>(x.size()) / rows;
    return encode(format(), {x, rows, cols, importance}, {.search = search}).value();
  }
  std::vector<float> through(const std::vector<float>& x, bool search,
                             std::span<const float> importance = {}) const {
    return decode(packed(x, 1, search, importance));
  }
};

INSTANTIATE_TEST_SUITE_P(All, GgufFormat, testing::ValuesIn(names()),
                         [](const auto& param) { return param.param; });

std::vector<float> normal(size_t count, unsigned seed) {
  std::mt19937 bits(seed);
  std::vector<float> x(count);
  for (float& v : x) {  // the sum of four uniform numbers is normal enough, and the same everywhere
    v = -2;
    for (int i = 0; i < 4; ++i) v += static_cast<float>(bits() >> 8) * 0x1p-24F;
  }
  return x;
}

double squared_error(std::span<const float> x, std::span<const float> y,
                     std::span<const float> w = {}) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double off = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    sum += (w.empty() ? 1.0 : static_cast<double>(w[i])) * off * off;
  }
  return sum;
}

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 0xf];
  }
  return text;
}

// ggml's bytes for the weights ((73 i) mod 101 - 50) / 32 * (1 + (i / 32) mod 3), i = 0, 1, ...
const std::map<std::string, std::string> kGolden = {
    {"q4_0", "4032905c07c37e3af5a16d18d48f4bf6b27e"},
    {"q4_1", "773240be904b07b37e3ae5a15c18c48f4bf6b26d"},
    {"q5_0", "402e329bc96c20970e85fd64db42b920a71f86fd64db"},
    {"q5_1", "422e40be329bc96c20970e85fd64db42b920a71f86fd64db"},
    {"q8_0", "4d22813af3ac661ed7904a03bb752ee79f5912cb843df6af6821da934c05be7730e9"},
    {"q2_K",
     "5555a999efff5455aa99feee6554aa89503ee994433ee9900eea95433ee9944ffaa5503ee994433a"
     "a5500fea95533ee9faa5533ee9944ffaa5500ef9a4533ea9500ffaa5533ef9540ffaa5500ef9a443"
     "c7315034"},
    {"q3_K",
     "d4e33b5ce5a31adce72b1cd5e33a5ce7bb8c5473abcc75b38a4c77bb8c5573aae84ae41eb719b319"
     "7ee44ee709b319bfd84fe54ee44ab319b319bee44ee74db3ec46ef79933993f946ec86ac46ef7993"
     "3bd22cc66cf6513b913b926fc66cc6ad6bbd0a15b1b19adbb282cb0bd028"},
    {"q4_K",
     "ee206a2c95e87f9497ec7f97caff75ca20eb97530eca7531fca8641fdb8642fdb97520ec97530eca"
     "8631fca8641fdb96632fea96520dc97430fba7631eda8541fcb8742feb96520dc98530fba7631eda"
     "98531fca8632fda96420db97430eba7531eca8541fcb8642fdb96520dc97530eeca8541fca8632fd"
     "a96420db97430eba7531eca8541fcb8642fdb96520dc9753"},
    {"q5_K",
     "be1c562c95ea7f9597ec7f97caff75d9f0c71e78e1873cf0c30f38e1871e78c30f3cf0c71e78e187"
     "3cf0c30f38e1871e30b72e950d74eb52d940b72f960d74fb62d940b82f960d84fb62da41b82fa61d"
     "c73eb52c930b72e950d74eb52d940b72f960d74fb62d940b82f960d84fb62da430a71e950c73eb52"
     "c930b72e950d74eb52d940b72f960d74fb62d940b82f960de940b72ea51c73fb62d940c73e950d84"
     "fb62e950b72fa61d84fb72d940c83fa6"},
    {"q6_K",
     "010e2d5b797896c4e2e11f3d3b5a88a6b5d2f0002d4b6b7996b4d4e10f2f3c5a987765432100fedc"
     "bba98765443210ffddbba88866443111ffdcccaa87755533210feedcba987765432100fedcbba987"
     "6b4c2e10f1d3b5a7886a4c3e1ff1d3c4b7986a3c4d1ff1f3d4a6788a5b3d0f11234456789abbcdef"
     "001234567789abcd700ed9a4730e95603fcaa4730ed9a43fca95600fd9a4730e95603fcaa4730ed9"
     "f6a84f32e59803f6a95c03e5984f32e99fc0356b8cf1265bc0356a9fc0265b8c2b29545285822a2b"
     "54ac80822a2b51acc114"},
    {"iq4_nl", "6922904c07c27e2af5b15d18d38f3bf6c16e"},
    {"iq4_xs",
     "d3148e234ba015ca904c07c27e2ae5a15d18d38f3bf6c26ec16e1ae4a04d07d27f2bf5b15e19e39f"
     "2c70c4094e91e61b6fb3f83d81d51a4ef5c16e19e3904d07d27f2bf4b05d18e318d39f3cf6c16e2a"
     "e4a04d07d27f2bf5d51b5fa2f72d70c4094e91e61c6fb3f84d08d28f3bf5c16e19e3904d07d27f2b"
     "91e51b5fb2f72d70d40a4ea1e61c6fc3"},
    {"tq1_0",
     "808981805a8980809388805a898180938880808981805a8980809388805a8981659c2bd4649cd581"
     "9c2bd5649c2bd4647f6cd47fb044"},
    {"tq2_0",
     "55655555416555554965554165555549655555655555416555554965554165559555521955555995"
     "555059555552195550599555521955555995555059555552b044"},
};

TEST_P(GgufFormat, WithoutSearchTheBytesAreTheReferences) {
  std::vector<float> x(static_cast<size_t>(block()));
  for (int i = 0; i < static_cast<int>(x.size()); ++i) {
    x[static_cast<size_t>(i)] = static_cast<float>((73 * i % 101 - 50) * (1 + i / 32 % 3)) / 32.0F;
  }
  const PackedMatrix m = packed(x, 1, false);
  ASSERT_EQ(kGolden.count(GetParam()), 1U);
  EXPECT_EQ(hex(m.parts[0].span<uint8_t>()), kGolden.at(GetParam()));
}

// Weight i of a block, read bit by bit from the drawings.
using Bytes = const uint8_t*;
double half_at(Bytes b, int at) {
  return static_cast<double>(Half{static_cast<uint16_t>(b[at] | b[at + 1] << 8)}.to_float());
}
int bit(int byte, int n) {
  return byte >> n & 1;
}
int split32(Bytes qs, int i) {  // two runs of 16 in 16 bytes
  return qs[i % 16] >> i / 16 * 4 & 0xf;
}
int quarters(Bytes qs, int i) {  // runs of 32, four to 32 bytes
  return qs[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3;
}
int pairs(Bytes qs, int i) {  // runs of 32, two to 32 bytes
  return qs[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 0xf;
}
double level(int code) {
  constexpr std::array<int, 16> kLevels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};
  return kLevels[static_cast<size_t>(code)];
}
double q45_k(Bytes b, int i, int code) {
  const int j = i / 32;
  const Bytes s = b + 4;
  const int sc = j < 4 ? s[j] & 63 : (s[j + 4] & 0xf) | s[j - 4] >> 6 << 4;
  const int m = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
  return half_at(b, 0) * sc * code - half_at(b, 2) * m;
}
int trit(int byte, int n) {
  for (; n > 0; --n) byte = byte * 3 & 0xff;
  return byte * 3 >> 8;
}
int tq1(Bytes b, int i) {
  if (i < 160) return trit(b[i % 32], i / 32);
  if (i < 240) return trit(b[32 + (i - 160) % 16], (i - 160) / 16);
  return trit(b[48 + (i - 240) % 4], (i - 240) / 4);
}

const std::map<std::string, std::function<double(Bytes, int)>> kWeight = {
    {"q4_0", [](Bytes b, int i) { return half_at(b, 0) * (split32(b + 2, i) - 8); }},
    {"q4_1", [](Bytes b, int i) { return half_at(b, 0) * split32(b + 4, i) + half_at(b, 2); }},
    {"q5_0",
     [](Bytes b, int i) {
       return half_at(b, 0) * ((split32(b + 6, i) | bit(b[2 + i / 8], i % 8) << 4) - 16);
     }},
    {"q5_1",
     [](Bytes b, int i) {
       return half_at(b, 0) * (split32(b + 8, i) | bit(b[4 + i / 8], i % 8) << 4) + half_at(b, 2);
     }},
    {"q8_0", [](Bytes b, int i) { return half_at(b, 0) * static_cast<int8_t>(b[2 + i]); }},
    {"q2_K",
     [](Bytes b, int i) {
       const int s = b[i / 16];
       return half_at(b, 80) * (s & 0xf) * quarters(b + 16, i) - half_at(b, 82) * (s >> 4);
     }},
    {"q3_K",
     [](Bytes b, int i) {
       const int j = i / 16;
       const Bytes s = b + 96;
       const int sc = (s[j % 8] >> j / 8 * 4 & 0xf) | (s[8 + j % 4] >> j / 4 * 2 & 3) << 4;
       return half_at(b, 108) * (sc - 32) *
              ((quarters(b + 32, i) | bit(b[i % 32], i / 32) << 2) - 4);
     }},
    {"q4_K", [](Bytes b, int i) { return q45_k(b, i, pairs(b + 16, i)); }},
    {"q5_K",
     [](Bytes b, int i) {
       return q45_k(b, i, pairs(b + 48, i) | bit(b[16 + i % 32], i / 32) << 4);
     }},
    {"q6_K",
     [](Bytes b, int i) {
       const int low = b[i / 128 * 64 + i % 64] >> i / 64 % 2 * 4 & 0xf;
       return half_at(b, 208) * static_cast<int8_t>(b[192 + i / 16]) *
              ((low | quarters(b + 128, i) << 4) - 32);
     }},
    {"iq4_nl", [](Bytes b, int i) { return half_at(b, 0) * level(split32(b + 2, i)); }},
    {"iq4_xs",
     [](Bytes b, int i) {
       const int j = i / 32;
       const int high = (b[2] | b[3] << 8) >> 2 * j & 3;
       const int sc = (b[4 + j / 2] >> j % 2 * 4 & 0xf) | high << 4;
       return half_at(b, 0) * (sc - 32) * level(split32(b + 8 + 16 * j, i % 32));
     }},
    {"tq1_0", [](Bytes b, int i) { return half_at(b, 52) * (tq1(b, i) - 1); }},
    {"tq2_0", [](Bytes b, int i) { return half_at(b, 64) * (quarters(b, i) - 1); }},
};

TEST_P(GgufFormat, EveryBitDecodesAsDrawn) {
  constexpr int64_t kBlocks = 400;
  PackedMatrix m = make_packed(format(), 1, kBlocks * block());
  std::mt19937 bits(3);
  const std::span<uint8_t> bytes = m.parts[0].span<uint8_t>();
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(bits());
  const std::vector<float> out = decode(m);
  const auto size = static_cast<int64_t>(bytes.size()) / kBlocks;
  int finite = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i) {
    const double expected =
        kWeight.at(GetParam())(bytes.data() + i / block() * size, static_cast<int>(i % block()));
    if (!std::isfinite(expected)) continue;  // of random scales, some are
    const double got = static_cast<double>(out[static_cast<size_t>(i)]);
    ASSERT_NEAR(got, expected, 1e-6 * (std::fabs(expected) + 65504)) << "weight " << i;
    ++finite;
  }
  EXPECT_GT(finite, 300 * block());
}

// Of the largest magnitude m of a block, how far any weight may be off without a search: half a
// step of the grid that covers it, and the rounding of the scales to 6 or 4 bits and to 16-bit
// floats.
const std::map<std::string, double> kBound = {
    {"q4_0", 1.0 / 8},    {"q4_1", 1.0 / 15}, {"q5_0", 1.0 / 16}, {"q5_1", 1.0 / 31},
    {"q8_0", 0.54 / 127}, {"q2_K", 0.5},      {"q3_K", 0.3},      {"q4_K", 0.12},
    {"q5_K", 0.07},       {"q6_K", 1.2 / 32}, {"iq4_nl", 0.16},   {"iq4_xs", 0.18},
    {"tq1_0", 0.501},     {"tq2_0", 0.501}};

TEST_P(GgufFormat, ErrorsStayWithinTheBound) {
  const std::vector<float> x = normal(static_cast<size_t>(64 * block()), 1);
  const std::vector<float> y = through(x, false);
  for (size_t from = 0; from < x.size(); from += static_cast<size_t>(block())) {
    double largest = 0;
    double off = 0;
    for (size_t i = from; i < from + static_cast<size_t>(block()); ++i) {
      largest = std::max(largest, std::fabs(static_cast<double>(x[i])));
      off = std::max(off, std::fabs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
    }
    ASSERT_LE(off, kBound.at(GetParam()) * largest) << "block at " << from;
  }
}

TEST_P(GgufFormat, SizesAreTheBlocks) {
  const int64_t bytes = stored_bytes(format(), 1, block());
  EXPECT_EQ(bytes * 2, static_cast<int64_t>(kGolden.at(GetParam()).size()));
  EXPECT_EQ(stored_bytes(format(), 3, block() + 1), 6 * bytes);
  EXPECT_EQ(format().row->id, find_format(GetParam())->id);
}

TEST_P(GgufFormat, ZerosStayZeros) {
  for (const bool search : {false, true}) {
    for (const float zero : {0.0F, -0.0F}) {
      const std::vector<float> x(512, zero);
      for (const float v : through(x, search)) ASSERT_EQ(v, 0.0F);
    }
  }
}

TEST_P(GgufFormat, TinyWeightsGiveNoNan) {
  for (const float scale : {1e-41F, 1e-38F, 1e-30F, 1e-14F, 1e-9F}) {
    std::vector<float> x = normal(512, 2);
    for (float& v : x) v *= scale;
    for (const bool search : {false, true}) {
      for (const float v : through(x, search)) ASSERT_LE(std::fabs(v), 1e-7F) << scale;
    }
  }
}

TEST_P(GgufFormat, HugeWeightsAreRefusedOrHeld) {
  for (const float huge : {1e4F, 6.6e4F, 1e6F, 1e8F, 1e10F, 1e30F, 3e38F}) {
    for (const bool search : {false, true}) {
      std::vector<float> x = normal(512, 4);
      x[37] = huge;
      const Result<PackedMatrix> m = encode(format(), {x, 1, 512, {}}, {.search = search});
      if (!m.ok()) {
        EXPECT_NE(m.error().message().find("row 0, column 37"), std::string::npos)
            << m.error().message();
        EXPECT_GT(huge, 6e4F);
        continue;
      }
      const float held = decode(*m)[37];
      EXPECT_NEAR(held, huge, huge * 0.7F) << GetParam();
    }
  }
}

TEST_P(GgufFormat, ARaggedRowIsPaddedWithZeros) {
  const std::vector<float> x = normal(2 * 300, 5);
  std::vector<float> wide(2 * 512, 0.0F);
  std::copy_n(x.begin(), 300, wide.begin());
  std::copy_n(x.begin() + 300, 300, wide.begin() + 512);
  const PackedMatrix ragged = packed(x, 2, false);
  const std::vector<float> y = decode(ragged);
  const std::vector<float> whole = decode(packed(wide, 2, false));
  for (size_t i = 0; i < 300; ++i) {
    ASSERT_EQ(y[i], whole[i]);
    ASSERT_EQ(y[300 + i], whole[512 + i]);
  }
  std::vector<float> second(300);
  decode_rows(ragged, 1, 2, second);
  EXPECT_TRUE(std::equal(second.begin(), second.end(), y.begin() + 300));
  EXPECT_LE(squared_error(x, decode(packed(x, 2, true))), squared_error(x, y));
}

TEST_P(GgufFormat, TheSearchIsNeverWorseInABlock) {
  std::vector<float> x = normal(32 * 256, 6);
  for (size_t i = 0; i < 8 * 256; ++i) x[i] = std::round(x[i] * 4) / 4;  // ties
  for (size_t i = 8 * 256; i < 16 * 256; ++i) x[i] *= x[i] * x[i] * 8;   // heavy tails
  for (size_t i = 16 * 256; i < 20 * 256; ++i) x[i] += 5;                // far from zero
  const std::vector<float> found = through(x, true);
  const std::vector<float> reference = through(x, false);
  const auto count = static_cast<size_t>(block());
  for (size_t at = 0; at < x.size(); at += count) {
    const std::span<const float> block_x(x.data() + at, count);
    ASSERT_LE(squared_error(block_x, {found.data() + at, count}),
              squared_error(block_x, {reference.data() + at, count}))
        << "block at " << at;
  }
  EXPECT_LT(squared_error(x, found), 0.99 * squared_error(x, reference));
}

TEST(GgufBlockCodecs, Rows) {
  for (const formats::gguf::BlockCodecSet& set : formats::gguf::block_codec_sets()) {
    std::cout << "rows: GGUF codecs, " << set.name << (set.runs_here ? "\n" : " (not run here)\n");
    if (!set.runs_here) continue;
    EXPECT_EQ(set.codecs.size(), formats::gguf_rows().size());
  }
}

TEST_P(GgufFormat, EveryInstructionSetGivesTheSameBits) {
  const auto sets = formats::gguf::block_codec_sets();
  const auto find = [&](const formats::gguf::BlockCodecSet& set) {
    return std::find_if(set.codecs.begin(), set.codecs.end(),
                        [&](const auto& codec) { return codec.name == GetParam(); });
  };
  constexpr size_t kWeights = 64 * 256;
  std::vector<float> x = normal(kWeights, 10);
  for (size_t i = 0; i < kWeights / 2; ++i) x[i] = std::round(x[i] * 64) / 2;  // ties
  std::vector<float> w = normal(kWeights, 11);
  for (float& v : w) v = std::fabs(v) / 2;
  const auto encode_with = [&](const formats::gguf::BlockCodec& codec, bool search) {
    std::vector<uint8_t> bytes;
    const auto batch = static_cast<size_t>(codec.elems) * static_cast<size_t>(codec.together);
    std::vector<uint8_t> blocks(static_cast<size_t>(codec.block_bytes * codec.together));
    for (size_t at = 0; at < kWeights; at += batch) {
      codec.encode(x.data() + at, w.data() + at, search, blocks.data());
      bytes.insert(bytes.end(), blocks.begin(), blocks.end());
    }
    return bytes;
  };
  for (const formats::gguf::BlockCodecSet& set : sets) {
    if (!set.runs_here) continue;
    for (const bool search : {false, true}) {
      EXPECT_EQ(encode_with(*find(set), search), encode_with(*find(sets[0]), search)) << set.name;
    }
  }
}

TEST_P(GgufFormat, ImportanceLowersTheErrorThatCounts) {
  const std::vector<float> x = normal(16 * 256, 7);
  std::vector<float> w = normal(x.size(), 8);
  for (float& v : w) v = std::exp2(4 * v);
  const std::vector<float> found = through(x, true, w);
  EXPECT_LT(squared_error(x, found, w), squared_error(x, through(x, true), w));
  // Only the ratios within a block count.
  std::vector<float> times(w);
  for (size_t i = 0; i < times.size(); ++i) times[i] *= i < 1024 ? 0x1p-60F : 0x1p+60F;
  EXPECT_EQ(found, through(x, true, times));
  // One importance per column is the same for every row.
  std::vector<float> rows(x);
  rows.insert(rows.end(), x.begin(), x.end());
  const std::vector<float> both = decode(packed(rows, 2, true, w));
  EXPECT_TRUE(std::equal(found.begin(), found.end(), both.begin()));
  EXPECT_TRUE(std::equal(found.begin(), found.end(), both.begin() + 16 * 256));
}

TEST_P(GgufFormat, WeightsOfNoImportanceDoNotMatter) {
  const std::vector<float> x = normal(16 * 256, 9);
  std::vector<float> spoilt(x);
  std::vector<float> w(x.size(), 1.0F);
  for (size_t i = 5; i < x.size(); i += 16) {
    w[i] = 0;
    spoilt[i] *= 40;
  }
  // The outliers take no part in the choice, which is then as good as without them.
  EXPECT_LE(squared_error(spoilt, through(spoilt, true, w), w),
            1.02 * squared_error(x, through(x, true, w), w));
  const std::vector<float> none(x.size(), 0.0F);
  for (const float v : through(x, true, none)) ASSERT_TRUE(std::isfinite(v));
}

}  // namespace
}  // namespace fewbit
