#include "graph/print.h"

#include "graph/test_graph.h"

namespace fewbit::testing {
namespace {

TEST(Print, NodesConstantsAndAttributes) {
  TestGraph g;
  g.graph.name = "net";
  ValueId x = g.input("x", {1, 3, "h", 8});
  ValueId w = g.weights("w", {4, 3, 1, 1});
  ValueId y =
      g.node("Conv", {x, w, kNone}, {{"strides", Ints{1, 1}}, {"auto_pad", std::string("VALID")}});
  ValueId flat = g.node("Reshape", {y, g.ints("s", {1, -1})});
  g.graph.outputs = {flat};
  ASSERT_TRUE(infer_graph(g.graph).ok());
  EXPECT_EQ(print(g.graph),
            "graph 'net'\n"
            "  input %x: float32[1, 3, h, 8]\n"
            "  constant %w: float32[4, 3, 1, 1]\n"
            "  constant %s: int64[2] = [1, -1]\n"
            "  %y: float32[1, 4, h, 8] = Conv(%x, %w, _) {auto_pad: 'VALID', strides: [1, 1]} # "
            "my_Conv\n"
            "  %y_4: float32[1, ?] = Reshape(%y, %s) # my_Reshape\n"
            "  output %y_4: float32[1, ?]\n");
}

TEST(Print, SubgraphsAreIndented) {
  TestGraph branch;
  branch.graph.name = "then";
  branch.graph.outputs = {branch.node("Relu", {branch.graph.add_value("x")})};
  TestGraph g;
  g.graph.name = "net";
  g.input("x", {2});
  g.graph.outputs = {g.node("If", {g.input("c", {}, DType::kBool)},
                            {{"then_branch", std::make_shared<Graph>(branch.graph)}})};
  EXPECT_EQ(print(g.graph),
            "graph 'net'\n"
            "  input %x: float32[2]\n"
            "  input %c: bool[]\n"
            "  %y: unknown = If(%c) {then_branch: graph} # my_If\n"
            "    then_branch:\n"
            "      graph 'then'\n"
            "        %y: unknown = Relu(%x) # my_Relu\n"
            "        output %y: unknown\n"
            "  output %y: unknown\n");
}

TEST(Print, ScalarsStringsAndControlCharacters) {
  TestGraph g;
  g.graph.name = "a\nb";
  g.graph.add_constant("pi", Tensor::scalar(3.5F));
  g.graph.add_constant("words", Tensor::strings({2}, {"one", "t\two"}));
  g.graph.add_constant("flag", Tensor::scalar(true));
  EXPECT_EQ(print(g.graph),
            "graph 'a\\x0ab'\n"
            "  constant %pi: float32[] = 3.5\n"
            "  constant %words: string[2] = ['one', 't\\x09wo']\n"
            "  constant %flag: bool[] = true\n");
}

}  // namespace
}  // namespace fewbit::testing
