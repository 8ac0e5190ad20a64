#include "report/json.h"

#include <gtest/gtest.h>

#include <limits>

namespace fewbit {
namespace {

TEST(Json, PrintsMembersInTheirOrder) {
  Json json = {{"name", "conv"}, {"count", int64_t{3}}, {"share", 0.5}, {"used", true}};
  json.set("shape", std::vector<int64_t>{1, 2});
  json.set("count", int64_t{4});
  json.update({{"limits", Json::array({1.0, Json()})}});
  EXPECT_EQ(json.print(), R"({
  "name": "conv",
  "count": 4,
  "share": 0.5,
  "used": true,
  "shape": [
    1,
    2
  ],
  "limits": [
    1.0,
    null
  ]
})");
}

TEST(Json, EmptyContainersKeepTheirKind) {
  EXPECT_EQ(Json::object().print(), "{}");
  EXPECT_EQ(Json::array().print(), "[]");
  EXPECT_EQ(Json().print(), "null");
}

TEST(Json, WhatJsonCannotHoldIsReplaced) {
  EXPECT_EQ(Json(std::numeric_limits<double>::infinity()).print(), "null");
  EXPECT_EQ(Json(std::numeric_limits<double>::quiet_NaN()).print(), "null");
  EXPECT_EQ(Json("caf\xe9 \"x\"").print(), "\"caf\xef\xbf\xbd \\\"x\\\"\"");
}

TEST(Json, CopiesAreIndependent) {
  Json list = Json::array();
  const Json empty = list;
  list.push_back("one");
  EXPECT_EQ(empty.print(), "[]");
  EXPECT_EQ(list.print(), "[\n  \"one\"\n]");
}

}  // namespace
}  // namespace fewbit
