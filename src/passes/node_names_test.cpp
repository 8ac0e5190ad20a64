#include "passes/node_names.h"

#include <gtest/gtest.h>

#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

TEST(NodeNames, OlderNodesKeepTheirsAndNewOnesAvoidAll) {
  test::ModelBuilder b;
  b.input("x", {2}).node("Relu", {"x"}, "a").node("Relu", {"a"}, "b").node("Relu", {"b"}, "c");
  b.node("Relu", {"c"}, "d").node("Relu", {"d"}, "e").output({"e"});
  const char* given[] = {"fc", "fc", "fc_2", "", ""};
  for (NodeId id = 0; id < 5; ++id) b.graph.node(id).name = given[id];
  make_node_names_unique(b.graph);
  const char* expected[] = {"fc", "fc_3", "fc_2", "", ""};
  for (NodeId id = 0; id < 5; ++id) EXPECT_EQ(b.graph.node(id).name, expected[id]) << id;
}

}  // namespace
}  // namespace fewbit
