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
