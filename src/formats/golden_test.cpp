// Golden bytes: what each format writes for one row of 32 values, every part after the other. A
// change here is a change of what files mean: it needs a new id, not new bytes.

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "formats/format.h"

namespace fewbit {
namespace {

struct Golden {
  std::string_view format;
  std::string_view bytes;
};

// Of ((37 i mod 64) - 32) / 16, i = 0 .. 31, with scale search.
constexpr Golden kGolden[] = {
    {"fp16",
     "00c0003580bd803b00ba403e00b040bf0038c0bc803c80b8003f002c80be803900bc403d00b6c03f0034c0bd003b8"
     "0ba003e00b280bf003700bd403c00b9c03e"},
    {"bf16",
     "00c0a03eb0bf703f40bfc83f00bee8bf003f98bf903f10bfe03f803dd0bf303f80bfa83fc0bef83f803eb8bf603f5"
     "0bfc03f40bef0bfe03ea0bf883f20bfd83f"},
    {"int8", "019429bc50e3780da035c75cef8419ac40d368fb9025b84cdf74099c31c358eb0402813c"},
    {"int7", "00aa44ee8822cc6600aa44ee8822cc66e4e439394e9393e46c9b24d90028"},
    {"int6", "0055aaff4499ee3388dd2277cc1166bbd8721cb62dcb61d8002c"},
    {"int5", "80a2d5f72a5c7fa2c4f7193c6e80b3d56c9b24d91630"},
    {"int4", "40d973fc952eb851ea731ca63fc862fb1d34"},
    {"int3", "e439397e8f93e4e46cdb26d91338"},
    {"int2", "d8b62db76ddb72dc3b3c"},
    {"uint8", "009629bf51e77a0da235cb5ef38619af41d76aff9225bb4de376099e31c75aeffdfc7c3c82"},
    {"uint7", "11bb55ff9933dd7711bb55ff9933dd77e4e439394e9393e46c9b24d9002801000000000001"},
    {"uint6", "0055aaff4499ee3388dd2277cc1166bbd8721cb62dcb61d8002c000000000200"},
    {"uint5", "80a2d5f72a5c7fa2c4f7193c6e80b3d56c9b24d916300000000001"},
    {"uint4", "40d973fc952eb851ea731ca63fc862fb1d3408000000"},
    {"uint3", "e439397e8f93e4e46cdb26d91338000001"},
    {"uint2", "d8b62db76ddb72dc3b3c0200"},
    {"fp8e4m3", "fe69fa75f37bdefd6ef878f07c56fb72f679eb7e66fa74f37be3fd6cf977f17cec9e913b"},
    {"fp8e5m2", "fb70f977f579ebfa73f878f47a67fa75f779f17b6ff976f679edfb72f877f47a25491238"},
    {"fp6e2m3", "7fa9baf683bc544ebf69e8d09d821cd2739ce71dc771de774334"},
    {"fp6e3m2", "bfd45dfb39ddafaed71cfc68cebb8ee977ddf75dd771de77902c"},
    {"fp5e2m2", "bfd45dfb49dda2aed73cfc68ceb18ee99364db268f34"},
    {"fp4e2m1", "ce51ad641bd549ce529de42ad640be635737"},
    {"mxfp8", "f862f36fec74d8f668f271e97650f56bf072e47860f46eed74dcf766f270ea7678"},
    {"mxfp8e5m2", "f86df674f276e8f770f574f07764f672f475ee786cf673f276eaf86ff574f17771"},
    {"mxfp6", "0825638f4c44e2d6483271792601a56b739ce718c6718e637e"},
    {"mxfp6e3m2", "8c912ac806aa7c6ba4e9c8349b885ab6779df75dd771de777c"},
    {"mxfp4", "ce51ad641bd548be529ce42ac640ad537e"},
    {"mxint8", "408a549e68b27c46905aa46eb8824c9660aa74be88529c66b07a448e58a26cb680"},
    {"nvfp4", "cf52ae651dd749cf539ee62cd740bf64767babaaaa3a"},
    {"nf4", "20e951fc931ec630ea610da41fd740fb813f"},
    {"log4", "ef64df764ef76bef75cef65de762df76073f"},
    {"log3", "e739db76deb3aceb9324d9269e3e"},
    {"apot4", "db24ca354fa35edb31cab249a3269b37c33c"},
    {"ternary", "8461186618866188603d"},
    {"ternary1.67", "8a27330608070307031a603d"},
    {"ternary1.6", "23cbdec36b619c603d"},
    {"binary", "6c9b24d9203c"},
    {"int4/channel:f32", "40d973fc952eb851ea731ca63fc862fb46a9833e"},
    {"uint4/tensor:bf16", "40d973fc952eb851ea731ca63fc862fb843e08"},
    {"int4/g16:e8m0", "40d962fc952ec851ea730ca63fc862fb7d7d"},
    {"int4/g16:u4", "40d972fc953fb750ea731da63fc861eb0d0f0000f585933c"},
    {"int3/g16:u6s256", "e439397e5f93e4e56cdb26d90f0a000003035520"},
    {"int2/g16:u8", "dcb62db76ddb72dcd7ff000000000000e5b5933b"},
    {"nf4/g32:bf16", "20e951fc931ec630ea610da41fd740fbf03f"},
};

std::string hex(const PackedMatrix& m) {
  std::string text;
  for (const Tensor& part : m.parts) {
    for (int64_t i = 0; i < part.bytes(); ++i)
      text += fmt::format("{:02x}", part.data<uint8_t>()[i]);
  }
  return text;
}

TEST(GoldenBytes, OfEveryFormat) {
  std::vector<float> values;
  for (int i = 0; i < 32; ++i) values.push_back(static_cast<float>(i * 37 % 64 - 32) / 16);
  for (const Golden& golden : kGolden) {
    const Result<Format> format = parse_format(golden.format);
    ASSERT_TRUE(format.ok()) << golden.format;
    const Result<PackedMatrix> m = encode(*format, {values, 1, 32, {}});
    ASSERT_TRUE(m.ok()) << golden.format;
    EXPECT_EQ(hex(*m), golden.bytes) << golden.format;
  }
}

}  // namespace
}  // namespace fewbit
