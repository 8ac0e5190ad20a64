#include "passes/scheme.h"

#include <gtest/gtest.h>

namespace fewbit {
namespace {

TEST(Scheme, NamesGoBothWays) {
  for (const char* text : {"w8a8", "w8a16", "w8", "w8a8:tensor", "w8:tensor", "w8a8:dynamic",
                           "w8a8:token", "w8a8:tensor:dynamic"}) {
    auto scheme = parse_scheme(text);
    ASSERT_TRUE(scheme.ok()) << text;
    EXPECT_EQ(scheme->name(), text);
  }
  EXPECT_EQ(parse_scheme("w8a8:channel")->name(), "w8a8");
}

TEST(Scheme, SaysWhatItMeans) {
  auto fixed = parse_scheme("w8a16:tensor");
  EXPECT_EQ(fixed->activations, Activations::kStatic);
  EXPECT_EQ(fixed->activation_type, DType::kUint16);
  EXPECT_EQ(fixed->weight_granularity, Granularity::kTensor);
  auto token = parse_scheme("w8a8:token");
  EXPECT_EQ(token->activations, Activations::kDynamic);
  EXPECT_TRUE(token->per_token);
  EXPECT_FALSE(parse_scheme("w8a8:dynamic")->per_token);
  EXPECT_EQ(parse_scheme("w8")->activations, Activations::kFloat);
}

TEST(Scheme, FormatsAreSchemes) {
  const std::pair<const char*, const char*> cases[] = {{"w4", "int4"},
                                                       {"w4:g32", "int4/g32"},
                                                       {"w2:g64", "int2"},
                                                       {"w8:g32", "int8/g32"},
                                                       {"w8a8:g32", "int8/g32+a8"},
                                                       {"w4a8:g128", "int4/g128+a8"},
                                                       {"w4a8", "int4/channel+a8"},
                                                       {"w3:channel", "int3/channel"},
                                                       {"w4:g32:asym", "uint4/g32"},
                                                       {"w4:asym", "uint4"},
                                                       {"nf4", "nf4"},
                                                       {"mxfp4", "mxfp4"},
                                                       {"nvfp4+a8", "nvfp4+a8"},
                                                       {"fp8", "fp8e4m3"},
                                                       {"fp8/tensor", "fp8e4m3/tensor"},
                                                       {"int4/g32:u6", "int4/g32:u6"},
                                                       {"q4_K", "q4_K"},
                                                       {"bf16", "bf16"}};
  for (const auto& [text, name] : cases) {
    const auto scheme = parse_scheme(text);
    ASSERT_TRUE(scheme.ok()) << text << ": " << scheme.error().message();
    ASSERT_TRUE(scheme->weight_format.has_value()) << text;
    EXPECT_EQ(scheme->name(), name);
    EXPECT_EQ(scheme->activations,
              std::string_view(name).ends_with("+a8") ? Activations::kStatic : Activations::kFloat);
    EXPECT_EQ(parse_scheme(name)->name(), name);
  }
  EXPECT_FALSE(parse_scheme("w8:tensor")->weight_format.has_value());
  const auto token = parse_scheme("w4a8:g32:token");
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->name(), "int4/g32+a8:token");
  EXPECT_EQ(token->activations, Activations::kDynamic);
  EXPECT_TRUE(token->per_token);
  EXPECT_EQ(parse_scheme("int4/g32+a8:token")->name(), token->name());
  EXPECT_FALSE(parse_scheme("w4:g32:token").ok());
  EXPECT_FALSE(parse_scheme("nf4:token").ok());
  for (const char* text : {"w4:g24", "w4:g32:g64", "w4:asym:asym", "w1", "w9", "w4a4", "int4/g24",
                           "nf4+a4", "w4:g32:u6"}) {
    EXPECT_FALSE(parse_scheme(text).ok()) << text;
  }
}

TEST(Scheme, ErrorsListWhatThereIs) {
  for (const char* text : {"", "w4a4", "W8A8", "w8a8 ", "a8"}) {
    auto scheme = parse_scheme(text);
    ASSERT_FALSE(scheme.ok()) << text;
    EXPECT_EQ(scheme.error().kind(), ErrorKind::kMisuse);
    EXPECT_NE(scheme.error().message().find("w8a16"), std::string::npos);
  }
  for (const char* text : {"w8a8:", "w8a8:row", "w8:dynamic", "w8a16:token", "w8a8:tensor:"}) {
    auto scheme = parse_scheme(text);
    ASSERT_FALSE(scheme.ok()) << text;
    EXPECT_NE(scheme.error().message().find(text), std::string::npos);
    EXPECT_NE(scheme.error().message().find(":channel"), std::string::npos);
  }
}

}  // namespace
}  // namespace fewbit
