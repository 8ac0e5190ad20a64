#include <array>
#include <cmath>

#include "base/random.h"
#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

Tensor random_matrix(Dims dims, uint64_t seed) {
  Tensor t = Tensor::uninitialized(DType::kFloat32, std::move(dims));
  Random(seed).fill_uniform(t.span<float>(), -1, 1);
  return t;
}

// Rows and columns that do and do not fill the tiles; one row takes another path.
TEST(MatMul, AgreesWithSumsInDouble) {
  const std::vector<std::array<int64_t, 3>> shapes = {{1, 1, 1}, {1, 9, 7},  {3, 8, 5},
                                                      {4, 8, 3}, {5, 9, 17}, {13, 23, 31}};
  for (auto [m, n, k] : shapes) {
    Tensor a = random_matrix({m, k}, 1);
    Tensor b = random_matrix({k, n}, 2);
    const std::vector<float> y = values<float>(OpCall("MatMul", 13).in(a).in(b).output());
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        double size = 0;
        for (int64_t p = 0; p < k; ++p) {
          const double term = double{a.data<float>()[i * k + p]} * b.data<float>()[p * n + j];
          sum += term;
          size += std::fabs(term);
        }
        // k products and k additions, each rounded once.
        const double bound = static_cast<double>(k + 1) * 0x1p-24 * size;
        EXPECT_NEAR(y[static_cast<size_t>(i * n + j)], sum, bound) << m << " " << n << " " << k;
      }
    }
  }
}

TEST(MatMul, VectorsAndBatches) {
  Tensor v = floats({2}, {1, 2});
  EXPECT_EQ(OpCall("MatMul", 13).in(v).in(v).output().rank(), 0);
  EXPECT_EQ(values<float>(OpCall("MatMul", 13).in(v).in(floats({2, 2}, {1, 2, 3, 4})).output()),
            (std::vector<float>{7, 10}));
  Tensor batch = ints({2, 1, 1, 2}, {1, 2, 3, 4});
  Tensor right = ints({3, 2, 1}, {1, 0, 0, 1, 1, 1});
  Tensor y = OpCall("MatMul", 13).in(batch).in(right).output();
  EXPECT_EQ(y.dims(), (Dims{2, 3, 1, 1}));
  EXPECT_EQ(values<int64_t>(y), (std::vector<int64_t>{1, 2, 3, 3, 4, 7}));
  Tensor empty = OpCall("MatMul", 13).in(floats({2, 0}, {})).in(floats({0, 2}, {})).output();
  EXPECT_EQ(values<float>(empty), (std::vector<float>(4, 0.0F)));
  OpCall("MatMul", 13).in(v).in(floats({3}, {1, 2, 3})).error();
  OpCall("MatMul", 13).in(v).in(floats({}, {1})).error();
}

TEST(Gemm, TransposesAndScales) {
  Tensor a = floats({2, 1}, {1, 2});
  Tensor b = floats({3, 2}, {1, 2, 3, 4, 5, 6});
  Tensor y = OpCall("Gemm", 13)
                 .in(a)
                 .in(b)
                 .in(floats({3}, {1, 1, 1}))
                 .attr("transA", int64_t{1})
                 .attr("transB", int64_t{1})
                 .attr("alpha", 2.0F)
                 .attr("beta", 10.0F)
                 .output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{20, 32, 44}));
  EXPECT_EQ(values<float>(OpCall("Gemm", 13).in(a).in(floats({1, 1}, {3})).output()),
            (std::vector<float>{3, 6}));
  OpCall("Gemm", 13).in(a).in(b).error();
  OpCall("Gemm", 13).in(a).in(floats({1, 1}, {3})).in(floats({5}, {1, 2, 3, 4, 5})).error();
}

TEST(Det, PivotsAndFindsSingularMatrices) {
  Tensor x = floats({2, 2, 2}, {0, 1, 1, 0, 1, 2, 2, 4});
  EXPECT_EQ(values<float>(OpCall("Det", 22).in(x).output()), (std::vector<float>{-1, 0}));
  OpCall("Det", 22).in(floats({1, 2}, {1, 2})).error();
}

std::vector<float> einsum(const std::string& equation, std::vector<Tensor> inputs) {
  OpCall call("Einsum", 12);
  for (Tensor& t : inputs) call.in(t);
  return values<float>(call.attr("equation", equation).output());
}

TEST(Einsum, Forms) {
  Tensor m = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  Tensor s = floats({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(einsum("ij->ji", {m}), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(einsum("ij->i", {m}), (std::vector<float>{6, 15}));
  EXPECT_EQ(einsum("ii", {s}), (std::vector<float>{5}));
  EXPECT_EQ(einsum("ii->i", {s}), (std::vector<float>{1, 4}));
  EXPECT_EQ(einsum("ij, jk -> ik", {s, m}), (std::vector<float>{9, 12, 15, 19, 26, 33}));
  EXPECT_EQ(einsum("ij,kj", {s, s}), (std::vector<float>{5, 11, 11, 25}));
  EXPECT_EQ(einsum("...j,...j->...", {s, s}), (std::vector<float>{5, 25}));
  EXPECT_EQ(einsum("i,j,i->j", {floats({2}, {1, 2}), floats({1}, {3}), floats({2}, {4, 5})}),
            (std::vector<float>{42}));
}

TEST(Einsum, RefusesWhatDoesNotFit) {
  Tensor m = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  auto refused = [](const std::string& equation, std::vector<Tensor> inputs) {
    OpCall call("Einsum", 12);
    for (Tensor& t : inputs) call.in(t);
    call.attr("equation", equation).error();
  };
  refused("ij,jk->ik", {m, m});
  refused("ijk->i", {m});
  refused("ij->z", {m});
  refused("ij->ii", {m});
  refused("i?->i", {m});
  refused("ij", {m, m});
  refused("......->", {m});
  refused("", {m});
}

}  // namespace
}  // namespace fewbit::ops
