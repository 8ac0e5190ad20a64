#include "io/json.h"

#include <gtest/gtest.h>

namespace fewbit {
namespace {

std::string error_of(std::string_view text) {
  const auto strings = read_json_strings(text);
  return strings.ok() ? "" : strings.error().message();
}

TEST(Json, ReadsStrings) {
  const auto strings = read_json_strings(" {\"a\": \"1\", \"b\\n\\u00e4\": \"\\ud83d\\ude00\"} ");
  ASSERT_TRUE(strings.ok());
  const std::map<std::string, std::string> expected = {{"a", "1"},
                                                       {"b\n\xc3\xa4", "\xf0\x9f\x98\x80"}};
  EXPECT_EQ(*strings, expected);
  EXPECT_TRUE(read_json_strings("{}")->empty());
}

TEST(Json, RefusesWhatIsNoObjectOfStrings) {
  EXPECT_EQ(error_of("{\"a\":\"1\",\"a\":\"2\"}"), "the key 'a' is there twice");
  EXPECT_EQ(error_of("{\"a\":1}"), "a number where none is expected");
  EXPECT_EQ(error_of("{\"a\":null}"), "null where none is expected");
  EXPECT_EQ(error_of("{\"a\":true}"), "true where none is expected");
  EXPECT_EQ(error_of("{\"a\":{}}"), "an object where none is expected");
  EXPECT_EQ(error_of("{\"a\":[]}"), "a list where none is expected");
  EXPECT_EQ(error_of("\"a\""), "a string where none is expected");
  EXPECT_EQ(error_of("{\"a\":-3}"), "the number -3 where only whole ones from 0 on are expected");
  EXPECT_EQ(error_of("{\"a\":1e9}"),
            "the number 1e9 where only whole ones from 0 to 2^64 - 1 are expected");
  EXPECT_EQ(
      error_of("{\"a\":99999999999999999999}"),
      "the number 99999999999999999999 where only whole ones from 0 to 2^64 - 1 are expected");
}

TEST(Json, NamesTheByteThatIsNoJson) {
  for (const auto& [text, byte] :
       std::initializer_list<std::pair<std::string_view, int>>{{"", 0},
                                                               {"{", 1},
                                                               {"{\"a\" 1}", 5},
                                                               {"{\"a\":\"1\"}x", 9},
                                                               {"{'a':1}", 1},
                                                               {{"{\"a\":\"1\"}\0", 10}, 9},
                                                               {"{\"a\":\"\xff\"}", 6},
                                                               {"{\"a\":\"\xed\xa0\x80\"}", 7}}) {
    EXPECT_EQ(error_of(text), fmt::format("not valid JSON at byte {}", byte)) << text;
  }
  JsonListener none;
  EXPECT_EQ(read_json("x", none, 100).error().message(), "not valid JSON at byte 100");
}

TEST(Json, NestingCostsNoStack) {
  EXPECT_EQ(error_of(std::string(1'000'000, '[')), "a list where none is expected");
}

TEST(Json, QuotedTextIsReadBack) {
  std::string all;
  for (int c = 1; c < 128; ++c) all += static_cast<char>(c);
  const auto back = read_json_strings("{" + json_quoted(all) + ":" + json_quoted("\xc3\xa4") + "}");
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(back->begin()->first, all);
  EXPECT_EQ(back->begin()->second, "\xc3\xa4");
  EXPECT_EQ(json_quoted("a\"\\\n"), "\"a\\\"\\\\\\u000a\"");
}

}  // namespace
}  // namespace fewbit
