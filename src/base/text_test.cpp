#include "base/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace fewbit {
namespace {

TEST(Text, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("scale", "sclae"), 1);  // neighbours swapped count once
  EXPECT_EQ(edit_distance("layout", "source_layout"), 7);
}

TEST(Text, NearestName) {
  const std::vector<std::string_view> keys = {"kind", "root", "labels", "limit", "preprocess"};
  EXPECT_EQ(nearest_name(keys, "label"), "labels");
  EXPECT_EQ(nearest_name(keys, "Limits"), "limit");
  EXPECT_EQ(nearest_name(keys, "preproces"), "preprocess");
  EXPECT_EQ(nearest_name(keys, "zebra"), "");
  EXPECT_EQ(nearest_name(keys, ""), "");
  EXPECT_EQ(did_you_mean(keys, "rooot"), " (did you mean 'root'?)");
  EXPECT_EQ(did_you_mean(keys, "zebra"), "");
  const std::vector<std::string_view> short_names = {"a", "b"};
  EXPECT_EQ(nearest_name(short_names, "c"), "");  // nothing in common
}

TEST(Text, TrimAndSplit) {
  EXPECT_EQ(trim("  a b\t\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string_view>{""}));
  EXPECT_EQ(split("a,", ','), (std::vector<std::string_view>{"a", ""}));
}

TEST(Text, ParsesWholeNumbersOnly) {
  EXPECT_EQ(parse_int64("-12"), -12);
  EXPECT_EQ(parse_int64("+12"), 12);
  EXPECT_EQ(parse_int64("12x"), std::nullopt);
  EXPECT_EQ(parse_int64("+-12"), std::nullopt);
  EXPECT_EQ(parse_int64(""), std::nullopt);
  EXPECT_EQ(parse_int64(" 1"), std::nullopt);
  EXPECT_EQ(parse_int64("9223372036854775808"), std::nullopt);
  EXPECT_EQ(parse_double("1e-3"), 1e-3);
  EXPECT_EQ(parse_double("1e-3 "), std::nullopt);
}

TEST(Text, HumanBytes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.50 KiB");
  EXPECT_EQ(human_bytes(14 * 1024 * 1024 + 100 * 1024), "14.1 MiB");
  EXPECT_EQ(human_bytes(1024 * 1024 - 1), "1.00 MiB");  // not "1024 KiB"
  EXPECT_EQ(human_bytes(std::numeric_limits<int64_t>::max()), "8.00 EiB");
}

TEST(Text, HumanCount) {
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1500), "1.50 k");
  EXPECT_EQ(human_count(999999), "1.00 M");
  EXPECT_EQ(human_count(3.0077e8), "301 M");
  EXPECT_EQ(human_count(0.25), "0.25");
}

TEST(Text, HumanSeconds) {
  EXPECT_EQ(human_seconds(820e-9), "820 ns");
  EXPECT_EQ(human_seconds(3.41e-3), "3.41 ms");
  EXPECT_EQ(human_seconds(12), "12.0 s");
  EXPECT_EQ(human_seconds(245), "4 min 05 s");
  EXPECT_EQ(human_seconds(7380), "2 h 03 min");
  EXPECT_EQ(human_seconds(std::numeric_limits<double>::infinity()), "?");
}

TEST(Text, Utf8FollowsTheRfc) {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                           "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
    EXPECT_TRUE(is_utf8(good));
  }
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xc3(", "\xff"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

}  // namespace
}  // namespace fewbit
