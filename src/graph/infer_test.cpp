// Inference on symbols, unknown dimensions and values; and what its errors say. The sizes of every
// operator's real outputs are compared in tests/interop/test_infer.py.

#include "graph/infer.h"

#include "graph/test_graph.h"

namespace fewbit::testing {
namespace {

TEST(Infer, BroadcastsSymbols) {
  TestGraph g;
  ValueId a = g.input("a", {"n", 1, 5});
  ValueId b = g.input("b", {"n", 4, 1});
  ValueId c = g.input("c", {"m", -1, 5});
  ValueId same = g.node("Add", {a, b});
  ValueId mixed = g.node("Mul", {b, c});
  EXPECT_EQ(g.infer(same), "float32[n, 4, 5]");
  EXPECT_EQ(g.type(mixed), "float32[?, 4, 5]");
}

TEST(Infer, ErrorNamesNodeInputsAndTypes) {
  TestGraph g;
  ValueId a = g.input("a", {2, 3});
  ValueId b = g.input("b", {2, 4});
  EXPECT_EQ(g.infer(g.node("Add", {a, b})),
            "Add node 'my_Add': the shapes cannot be broadcast together: input 0 'a' is "
            "float32[2, 3], input 1 'b' is float32[2, 4]");
}

TEST(Infer, ErrorOnElementTypes) {
  TestGraph g;
  ValueId a = g.input("a", {2});
  ValueId b = g.input("b", {2}, DType::kInt64);
  EXPECT_EQ(g.infer(g.node("Add", {a, b})),
            "Add node 'my_Add': input 1 'b' has type int64[2], expected float32 like input 0 'a'");
}

TEST(Infer, ErrorOnArity) {
  TestGraph g;
  ValueId a = g.input("a", {2});
  EXPECT_EQ(g.infer(g.node("Add", {a})), "Add node 'my_Add' has 1 inputs, expected 2");
  TestGraph h;
  ValueId x = h.input("x", {2});
  EXPECT_EQ(h.infer(h.node("Add", {x, kNone})),
            "Add node 'my_Add': input 1 is left out, but is required");
}

TEST(Infer, DeclaredTypeThatContradictsIsAnError) {
  TestGraph g;
  ValueId y = g.node("Relu", {g.input("a", {2, "n"})});
  g.graph.value(y).type = ValueType::tensor(DType::kFloat32, shape({3, 4}));
  EXPECT_EQ(g.infer(y),
            "Relu node 'my_Relu': output 0 'y' is declared float32[3, 4], but is float32[2, n]");
}

TEST(Infer, DeclaredTypeThatIsMorePreciseStays) {
  TestGraph g;
  ValueId y = g.node("Relu", {g.input("a", {2, "n"})});
  g.graph.value(y).type = ValueType::tensor(DType::kUndefined, shape({-1, 4}));
  EXPECT_EQ(g.infer(y), "float32[2, 4]");
}

TEST(Infer, UnknownOperatorKeepsDeclaredType) {
  TestGraph g;
  ValueId y = g.node("Strange", {g.input("a", {2})}, {}, "my.domain");
  g.graph.value(y).type = ValueType::tensor(DType::kInt8, shape({7}));
  EXPECT_EQ(g.infer(g.node("Relu", {y})), "int8[7]");
}

TEST(Infer, ReshapeCancelsSymbols) {
  TestGraph g;
  ValueId x = g.input("x", {"n", 3, 4});
  EXPECT_EQ(g.infer(g.node("Reshape", {x, g.ints("s", {0, -1})})), "float32[n, 12]");
  EXPECT_EQ(g.infer(g.node("Reshape", {x, g.ints("t", {-1, 6})})), "float32[?, 6]");
  EXPECT_EQ(g.infer(g.node("Reshape", {x, g.ints("u", {-1, 4, 3})})), "float32[n, 4, 3]");
}

TEST(Infer, ReshapeCopiesUnknownDimension) {
  TestGraph g;
  ValueId x = g.input("x", {-1, 3, 4});
  EXPECT_EQ(g.infer(g.node("Reshape", {x, g.ints("s", {0, -1})})), "float32[?, 12]");
}

TEST(Infer, ReshapeErrors) {
  auto error = [](std::initializer_list<D> in, const Ints& target) {
    TestGraph g;
    return g.infer(g.node("Reshape", {g.input("x", in), g.ints("s", target)}));
  };
  EXPECT_EQ(
      error({2, 3}, {4, -1}),
      "Reshape node 'my_Reshape': input 0 'x' is float32[2, 3] (6 elements), which cannot take "
      "the shape float32[4, ?]");
  EXPECT_EQ(error({2, 3}, {-1, -1}), "Reshape node 'my_Reshape': input 1 's' holds -1 twice");
  EXPECT_EQ(error({2, 3}, {-2, 3}),
            "Reshape node 'my_Reshape': input 1 's' holds -2, expected -1 or dimensions");
  EXPECT_EQ(
      error({6}, {6, 0}),
      "Reshape node 'my_Reshape': input 1 's' copies dimension 1, but input 0 'x' has only 1");
}

TEST(Infer, ReshapeWithAllowzero) {
  TestGraph g;
  ValueId x = g.input("x", {0, 3, 4});
  EXPECT_EQ(g.infer(g.node("Reshape", {x, g.ints("s", {3, 4, 0})}, {{"allowzero", int64_t{1}}})),
            "float32[3, 4, 0]");
}

// Exporters write view(x.size(0), -1, 8) like this.
TEST(Infer, CarriesShapesThroughArithmetic) {
  TestGraph g;
  ValueId x = g.input("x", {"n", "t", 16});
  ValueId size = g.node("Shape", {x});
  ValueId batch = g.node("Gather", {size, g.int_scalar("zero", 0)});
  ValueId width = g.node("Gather", {size, g.int_scalar("two", 2)});
  ValueId half = g.node("Div", {width, g.int_scalar("divisor", 2)});
  ValueId axes = g.ints("axes", {0});
  ValueId target = g.node("Concat",
                          {g.node("Unsqueeze", {batch, axes}), g.ints("minus", {-1}),
                           g.node("Unsqueeze", {half, axes})},
                          {{"axis", int64_t{0}}});
  EXPECT_EQ(g.infer(g.node("Reshape", {x, target})), "float32[n, ?, 8]");
}

// arange(size(x, 1)) before there was Range.
TEST(Infer, RangeAsIndicesOfOnes) {
  TestGraph g;
  ValueId size = g.node("Gather", {g.node("Shape", {g.input("x", {"n", 5})}), g.ints("one", {1})});
  ValueId ones =
      g.node("ConstantOfShape", {size}, {{"value", Tensor::from<int64_t>({1}, Ints{1})}});
  ValueId column = g.node("Transpose", {g.node("NonZero", {ones})});
  EXPECT_EQ(g.infer(g.node("Squeeze", {column, g.ints("axis", {1})})), "int64[5]");
}

TEST(Infer, ConcatWithOneUnknownElementKeepsTheOthers) {
  TestGraph g;
  ValueId x = g.input("x", {-1, 6});
  ValueId rows = g.input("rows", {1}, DType::kInt64);
  ValueId target = g.node("Concat", {rows, g.ints("cols", {3})}, {{"axis", int64_t{0}}});
  EXPECT_EQ(g.infer(g.node("Reshape", {x, target})), "float32[?, 3]");
}

// expand(x, -1, 4) is exported with Where(shape == -1, 1, shape).
TEST(Infer, ExpandThroughWhere) {
  TestGraph g;
  ValueId x = g.input("x", {"n", 1});
  ValueId target = g.ints("target", {-1, 4});
  ValueId ones = g.node("ConstantOfShape", {g.ints("two", {2})},
                        {{"value", Tensor::from<int64_t>({1}, Ints{1})}});
  ValueId minus = g.node("Mul", {ones, g.int_scalar("minus", -1)});
  ValueId chosen = g.node("Where", {g.node("Equal", {target, minus}), ones, target});
  EXPECT_EQ(g.infer(g.node("Expand", {x, chosen})), "float32[n, 4]");
}

TEST(Infer, ResizeBySizesFromFloats) {
  TestGraph g;
  ValueId x = g.input("x", {1, 3, 10, 14});
  ValueId size = g.node("Slice", {g.node("Shape", {x}), g.ints("from", {2}), g.ints("to", {4})});
  ValueId as_float = g.node("Cast", {size}, {{"to", int64_t{1}}});
  ValueId scale = g.graph.add_constant("scale", Tensor::scalar(1.5F));
  ValueId scaled = g.node("Floor", {g.node("Mul", {as_float, scale})});
  ValueId sizes =
      g.node("Concat", {g.ints("nc", {1, 3}), g.node("Cast", {scaled}, {{"to", int64_t{7}}})},
             {{"axis", int64_t{0}}});
  EXPECT_EQ(g.infer(g.node("Resize", {x, kNone, kNone, sizes})), "float32[1, 3, 15, 21]");
}

TEST(Infer, ConcatOfUnknownAndMismatch) {
  TestGraph g;
  ValueId a = g.input("a", {"n", 3});
  ValueId b = g.input("b", {"n", -1});
  ValueId c = g.input("c", {"n", 5});
  EXPECT_EQ(g.infer(g.node("Concat", {a, c}, {{"axis", int64_t{-1}}})), "float32[n, 8]");
  EXPECT_EQ(g.infer(g.node("Concat", {a, b}, {{"axis", int64_t{1}}})), "float32[n, ?]");
  EXPECT_EQ(g.infer(g.node("Concat", {a, c}, {{"axis", int64_t{0}}})),
            "Concat node 'my_Concat': input 1 'c' has type float32[n, 5], expected dimension 1 to "
            "be 3");
}

TEST(Infer, ConvolutionOfUnknownSizes) {
  TestGraph g;
  ValueId x = g.input("x", {"n", 3, "h", -1});
  ValueId w = g.weights("w", {8, 3, 3, 3});
  Attributes same = {{"pads", Ints{1, 1, 1, 1}}};
  Attributes strided = {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 1}}};
  EXPECT_EQ(g.infer(g.node("Conv", {x, w}, same)), "float32[n, 8, h, ?]");
  EXPECT_EQ(g.infer(g.node("Conv", {x, w}, strided)), "float32[n, 8, ?, ?]");
  EXPECT_EQ(g.infer(g.node("Conv", {x, w})), "float32[n, 8, ?, ?]");
}

TEST(Infer, ConvolutionErrors) {
  auto error = [](std::initializer_list<D> in, const Dims& w, Attributes attributes) {
    TestGraph g;
    return g.infer(g.node("Conv", {g.input("x", in), g.weights("w", w)}, std::move(attributes)));
  };
  EXPECT_EQ(
      error({1, 4, 8, 8}, {8, 3, 3, 3}, {}),
      "Conv node 'my_Conv': input 0 'x' has type float32[1, 4, 8, 8], expected dimension 1 to "
      "be 3");
  EXPECT_EQ(error({1, 3, 2, 8}, {8, 3, 3, 3}, {}),
            "Conv node 'my_Conv': spatial axis 0 has 2 elements with 0 of padding, fewer than the "
            "kernel's 3");
  EXPECT_EQ(error({1, 3, 8, 8}, {8, 3, 3, 3}, {{"strides", Ints{0, 1}}}),
            "Conv node 'my_Conv': attribute 'strides' is [0, 1], expected numbers of at least 1");
  EXPECT_EQ(error({1, 3, 8, 8}, {8, 3, 3, 3}, {{"pads", Ints{1, 1}}}),
            "Conv node 'my_Conv': attribute 'pads' is [1, 1], expected 4 numbers");
  EXPECT_EQ(error({1, 3, 8, 8}, {8, 3, 3, 3}, {{"kernel_shape", Ints{5, 5}}}),
            "Conv node 'my_Conv': kernel_shape is [5, 5], expected the kernel of the weights");
}

// By hand: (in + pads - kernel) / stride + 1, the last window dropped if it starts in the end pad.
TEST(Infer, PoolsRoundUpInCeilMode) {
  auto size = [](int64_t in, int64_t kernel, int64_t stride, int64_t pad, int64_t ceil_mode) {
    TestGraph g;
    ValueId y = g.node("MaxPool", {g.input("x", {1, 1, in})},
                       {{"kernel_shape", Ints{kernel}},
                        {"strides", Ints{stride}},
                        {"pads", Ints{pad, pad}},
                        {"ceil_mode", ceil_mode}});
    return g.infer(y);
  };
  EXPECT_EQ(size(10, 3, 2, 0, 0), "float32[1, 1, 4]");
  EXPECT_EQ(size(10, 3, 2, 0, 1), "float32[1, 1, 5]");
  EXPECT_EQ(size(5, 1, 3, 1, 1), "float32[1, 1, 2]");  // 3 windows would start at -1, 2, 5
  EXPECT_EQ(size(2, 3, 2, 0, 1), "float32[1, 1, 1]");
}

TEST(Infer, ValidPoolsRoundDownInCeilMode) {
  TestGraph g;
  ValueId y = g.node("MaxPool", {g.input("x", {1, 1, 10})},
                     {{"kernel_shape", Ints{3}},
                      {"strides", Ints{2}},
                      {"auto_pad", std::string("VALID")},
                      {"ceil_mode", int64_t{1}}});
  EXPECT_EQ(g.infer(y), "float32[1, 1, 4]");
}

TEST(Infer, SliceOfSymbols) {
  TestGraph g;
  ValueId x = g.input("x", {"n", "t", 10});
  ValueId huge = g.ints("huge", {INT64_MAX});
  ValueId zero = g.ints("zero", {0});
  ValueId axis1 = g.ints("axis1", {1});
  ValueId axis2 = g.ints("axis2", {2});
  EXPECT_EQ(g.infer(g.node("Slice", {x, zero, huge, axis1})), "float32[n, t, 10]");
  EXPECT_EQ(g.infer(g.node("Slice", {x, g.ints("one", {1}), huge, axis1})), "float32[n, ?, 10]");
  ValueId from = g.ints("from", {-1});
  ValueId to = g.ints("to", {INT64_MIN});
  ValueId back = g.ints("back", {-3});
  EXPECT_EQ(g.infer(g.node("Slice", {x, from, to, axis2, back})), "float32[n, t, 4]");
}

TEST(Infer, SqueezeOfUnknownDimensionHasNoRank) {
  TestGraph g;
  ValueId x = g.input("x", {1, "n", 3});
  EXPECT_EQ(g.infer(g.node("Squeeze", {x})), "float32[...]");
  EXPECT_EQ(g.infer(g.node("Squeeze", {x, g.ints("a", {0})})), "float32[n, 3]");
  EXPECT_EQ(
      g.infer(g.node("Squeeze", {x, g.ints("b", {2})})),
      "Squeeze node 'my_Squeeze': input 0 'x' has type float32[1, n, 3], expected dimension 2 "
      "to be 1");
}

TEST(Infer, OldAttributesOfOldVersions) {
  TestGraph g;
  g.opset = 9;
  ValueId x = g.input("x", {1, 3, 8});
  EXPECT_EQ(g.infer(g.node("Squeeze", {x}, {{"axes", Ints{0}}})), "float32[3, 8]");
  EXPECT_EQ(
      g.infer(g.node("Slice", {x}, {{"axes", Ints{2}}, {"starts", Ints{-3}}, {"ends", Ints{100}}})),
      "float32[1, 3, 3]");
  EXPECT_EQ(g.infer(g.node("Pad", {x}, {{"pads", Ints{0, 0, 1, 0, 0, 2}}})), "float32[1, 3, 11]");
}

TEST(Infer, MatMulInnerDimensions) {
  TestGraph g;
  ValueId a = g.input("a", {"n", 1, 4, 5});
  ValueId b = g.input("b", {7, 5, 6});
  EXPECT_EQ(g.infer(g.node("MatMul", {a, b})), "float32[n, 7, 4, 6]");
  EXPECT_EQ(g.infer(g.node("MatMul", {a, g.input("v", {5})})), "float32[n, 1, 4]");
  EXPECT_EQ(
      g.infer(g.node("MatMul", {b, g.input("w", {5})})),
      "MatMul node 'my_MatMul': input 0 'b' is float32[7, 5, 6] and input 1 'w' is float32[5]: "
      "the inner dimensions 6 and 5 differ");
}

TEST(Infer, SingleNodeFromConstants) {
  TestGraph g;
  ValueId y = g.node("Reshape", {g.input("x", {2, 6}), g.ints("s", {3, -1})});
  ASSERT_TRUE(infer_node(g.graph, g.graph.value(y).producer).ok());
  EXPECT_EQ(g.type(y), "float32[3, 4]");
}

TEST(Infer, BindReplacesSymbolsEverywhere) {
  TestGraph g;
  ValueId x = g.input("x", {"n", "t"});
  ValueId mask = g.input("mask", {"n", 1});
  ValueId y = g.node("Add", {x, mask});
  g.graph.outputs = {y};
  EXPECT_EQ(g.infer(y), "float32[n, t]");
  ASSERT_TRUE(bind_input_shapes(g.graph, {{"x", {2, 7}}}).ok());
  EXPECT_EQ(g.type(mask), "float32[2, 1]");
  EXPECT_EQ(g.infer(y), "float32[2, 7]");
  Status status = bind_input_shapes(g.graph, {{"x", {3, 7}}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message(), "input 'x' is float32[2, 7], but is given the shape [3, 7]");
  EXPECT_FALSE(bind_input_shapes(g.graph, {{"z", {3}}}).ok());
  EXPECT_FALSE(bind_input_shapes(g.graph, {{"mask", {2, -1}}}).ok());
}

TEST(Infer, SizesThatOverflowAreErrorsOrUnknown) {
  constexpr int64_t kHuge = int64_t{1} << 62;
  TestGraph g;
  ValueId x = g.input("x", {kHuge, 1});
  ValueId y = g.input("y", {1, kHuge});
  EXPECT_NE(g.infer(g.node("Add", {x, y})).find("Add node 'my_Add': output 0"), std::string::npos);
  TestGraph h;
  ValueId z = h.input("z", {kHuge, "n"}, DType::kUint8);
  EXPECT_EQ(h.infer(h.node("Tile", {z, h.ints("r", {8, 1})})), "uint8[?, n]");
  EXPECT_EQ(h.infer(h.node("Flatten", {h.input("f", {2, kHuge, 4}, DType::kUint8)})),
            "uint8[2, ?]");
  TestGraph c;
  Attributes extreme = {{"dilations", Ints{INT64_MAX}}, {"pads", Ints{INT64_MAX, INT64_MAX}}};
  EXPECT_EQ(c.infer(c.node("Conv", {c.input("x", {1, 1, 5}), c.weights("w", {1, 1, 3})}, extreme)),
            "float32[1, 1, ?]");
}

TEST(Infer, ExtremeAttributesAreErrors) {
  TestGraph g;
  ValueId data = g.input("data", {2, 3, 4});
  ValueId indices = g.input("indices", {2, 1}, DType::kInt64);
  EXPECT_EQ(g.infer(g.node("GatherND", {data, indices}, {{"batch_dims", INT64_MIN}})),
            "GatherND node 'my_GatherND': batch_dims is -9223372036854775808, expected a number in "
            "[0, 1]");
}

TEST(Infer, SchemaOfTheRightVersion) {
  EXPECT_EQ(find_schema("", "Slice", 9)->max_inputs, 1);
  EXPECT_EQ(find_schema("", "Slice", 10)->max_inputs, 5);
  EXPECT_EQ(find_schema("", "Gelu", 19), nullptr);
  EXPECT_NE(find_schema("com.microsoft", "Gelu", 1), nullptr);
  EXPECT_EQ(find_schema("", "Nothing", 21), nullptr);
}

TEST(Infer, QuantizedTypes) {
  TestGraph g;
  ValueId x = g.input("x", {2, 4});
  ValueId scale = g.weights("scale", {});
  ValueId zero = g.graph.add_constant("zero", Tensor::zeros(DType::kInt8, {}));
  ValueId q = g.node("QuantizeLinear", {x, scale, zero});
  EXPECT_EQ(g.infer(q), "int8[2, 4]");
  EXPECT_EQ(g.infer(g.node("DequantizeLinear", {q, scale, zero})), "float32[2, 4]");
  EXPECT_EQ(g.infer(g.node("QuantizeLinear", {x, scale}, {{"output_dtype", int64_t{22}}})),
            "int4[2, 4]");
  EXPECT_EQ(g.infer(g.node("QuantizeLinear", {x, g.weights("s3", {3})}, {{"axis", int64_t{1}}})),
            "QuantizeLinear node 'my_QuantizeLinear': input 1 's3' has type float32[3], expected "
            "dimension 0 to be 4");
}

}  // namespace
}  // namespace fewbit::testing
