// Every primitive against plain loops in double. Tolerance: eps * terms * sum |w x| is the bound of
// any order of summation; inputs are in [-1, 1], so terms^2 * eps with a margin for the activation.
#include "kernels/dnnl/dnnl.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <random>

namespace fewbit {
namespace {

using Dims = std::vector<int64_t>;

int64_t count_of(const Dims& dims) {
  int64_t n = 1;
  for (int64_t d : dims) n *= d;
  return n;
}

std::vector<float> random_floats(int64_t n, unsigned seed) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> out(static_cast<size_t>(n));
  for (float& v : out) v = uniform(rng);
  return out;
}

/// Offset of logical element `index` of dims in a layout.
int64_t offset_of(const Dims& dims, Layout layout, const Dims& index) {
  const int64_t block = layout == Layout::kBlocked16c  ? 16
                        : layout == Layout::kBlocked8c ? 8
                        : layout == Layout::kPlain     ? 1
                                                       : dims[1];
  const int64_t blocks = (dims[1] + block - 1) / block;
  int64_t offset = index[0] * blocks + index[1] / block;
  for (size_t i = 2; i < dims.size(); ++i) offset = offset * dims[i] + index[i];
  return offset * block + index[1] % block;
}

bool next(Dims& index, const Dims& dims) {
  for (size_t i = dims.size(); i-- > 0;) {
    if (++index[i] < dims[i]) return true;
    index[i] = 0;
  }
  return false;
}

double activate(const Unary& u, double x) {
  switch (u.op) {
    case UnaryOp::kRelu:
      return std::max(x, 0.0);
    case UnaryOp::kLeakyRelu:
      return x >= 0 ? x : u.alpha * x;
    case UnaryOp::kClip:
      return std::min(std::max(x, double{u.alpha}), double{u.beta});
    case UnaryOp::kElu:
      return x >= 0 ? x : u.alpha * std::expm1(x);
    case UnaryOp::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case UnaryOp::kTanh:
      return std::tanh(x);
    case UnaryOp::kHardSigmoid:
      return std::min(std::max(u.alpha * x + u.beta, 0.0), 1.0);
    case UnaryOp::kHardSwish:
      return x * std::min(std::max(x / 6 + 0.5, 0.0), 1.0);
    case UnaryOp::kSilu:
      return x / (1 + std::exp(-u.alpha * x));
    case UnaryOp::kMish:
      return x * std::tanh(std::log1p(std::exp(x)));
    case UnaryOp::kGeluErf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case UnaryOp::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    default:
      return x;
  }
}

/// Convolution (or its transpose) by its definition, plain layout.
std::vector<double> reference_conv(const DnnlConvSpec& s, const Dims& dst_dims, bool transposed,
                                   const std::vector<float>& src, const std::vector<float>& weights,
                                   const float* bias) {
  const size_t spatial = s.src_dims.size() - 2;
  const int64_t g = s.groups, out_per = dst_dims[1] / g, in_per = s.src_dims[1] / g;
  std::vector<double> out(static_cast<size_t>(count_of(dst_dims)), 0.0);
  const Dims kernel(s.weight_dims.begin() + 2, s.weight_dims.end());
  auto at = [&](const Dims& v, size_t i, int64_t fallback) { return v.empty() ? fallback : v[i]; };
  // Walk over (n, small side channel, small or large spatial position, tap).
  const Dims& walk = transposed ? s.src_dims : dst_dims;
  const Dims& other_dims = transposed ? dst_dims : s.src_dims;
  Dims index(walk.size(), 0);
  do {
    Dims tap(spatial, 0);
    do {
      Dims other = index;
      bool inside = true;
      for (size_t i = 0; i < spatial; ++i) {
        other[i + 2] = index[i + 2] * at(s.strides, i, 1) - at(s.pads_begin, i, 0) +
                       tap[i] * at(s.dilations, i, 1);
        inside = inside && other[i + 2] >= 0 && other[i + 2] < other_dims[i + 2];
      }
      if (!inside) continue;
      const int64_t group = index[1] / (transposed ? in_per : out_per);
      const int64_t per = transposed ? out_per : in_per;
      for (int64_t c = 0; c < per; ++c) {
        other[1] = group * per + c;
        Dims w_index = {index[1], c};
        w_index.insert(w_index.end(), tap.begin(), tap.end());
        const double w = weights[offset_of(s.weight_dims, Layout::kPlain, w_index)];
        const int64_t a = offset_of(walk, Layout::kPlain, index);
        const int64_t b = offset_of(other_dims, Layout::kPlain, other);
        if (transposed)
          out[b] += w * src[a];
        else
          out[a] += w * src[b];
      }
    } while (next(tap, kernel));
  } while (next(index, walk));
  if (bias != nullptr) {
    Dims i(dst_dims.size(), 0);
    do out[offset_of(dst_dims, Layout::kPlain, i)] += bias[i[1]];
    while (next(i, dst_dims));
  }
  return out;
}

template <typename Conv>
void check_conv(DnnlConvSpec spec, bool with_bias = true) {
  constexpr bool kTransposed = std::is_same_v<Conv, DnnlConvTranspose>;
  const auto weights = random_floats(count_of(spec.weight_dims), 1);
  const int64_t outputs = kTransposed ? spec.weight_dims[1] * spec.groups : spec.weight_dims[0];
  const auto bias = random_floats(outputs, 2);
  const auto plain = random_floats(count_of(spec.src_dims), 3);
  auto conv = Conv::create(spec, weights.data(), with_bias ? bias.data() : nullptr);
  ASSERT_TRUE(conv.ok()) << conv.error().message();
  const Dims dst_dims = conv->dst_dims();
  std::vector<float> src(layout_elems(conv->src_layout(), spec.src_dims), 0.0f);
  Dims i(spec.src_dims.size(), 0);
  do
    src[offset_of(spec.src_dims, conv->src_layout(), i)] =
        plain[offset_of(spec.src_dims, Layout::kPlain, i)];
  while (next(i, spec.src_dims));
  const auto residual = random_floats(layout_elems(conv->dst_layout(), dst_dims), 4);
  std::vector<float> dst(residual.size(), NAN);
  conv->execute(src.data(), dst.data(), spec.post.add_residual ? residual.data() : nullptr);
  const auto want = reference_conv(spec, dst_dims, kTransposed, plain, weights,
                                   with_bias ? bias.data() : nullptr);
  const double terms = static_cast<double>(count_of(spec.weight_dims)) / spec.weight_dims[0] + 2;
  const double tolerance = 1.2e-7 * terms * terms + 2e-6;
  Dims o(dst_dims.size(), 0);
  do {
    const int64_t at = offset_of(dst_dims, conv->dst_layout(), o);
    double w = want[offset_of(dst_dims, Layout::kPlain, o)];
    if (spec.post.add_residual) w += residual[at];
    ASSERT_NEAR(dst[at], activate(spec.post.activation, w), tolerance)
        << conv->implementation() << " at " << at;
  } while (next(o, dst_dims));
}

TEST(DnnlConv, LayoutsAndGeometries) {
  for (Layout layout : {Layout::kChannelsLast, Layout::kPlain, Layout::kBlocked16c}) {
    SCOPED_TRACE(name_of(layout));
    DnnlConvSpec s;
    s.src_layout = s.dst_layout = layout;
    s.src_dims = {2, 16, 9, 11};
    s.weight_dims = {32, 16, 3, 3};
    s.pads_begin = {1, 0};
    s.pads_end = {2, 1};
    check_conv<DnnlConv>(s);
    s.strides = {2, 1};
    check_conv<DnnlConv>(s, /*with_bias=*/false);
    s.dilations = {2, 2};
    check_conv<DnnlConv>(s);
    s.groups = 16;  // depthwise
    s.weight_dims = {16, 1, 3, 3};
    s.dilations = {};
    check_conv<DnnlConv>(s);
    s.groups = 4;
    s.weight_dims = {24, 4, 3, 3};
    if (layout != Layout::kBlocked16c) check_conv<DnnlConv>(s);
  }
}

TEST(DnnlConv, OneAndThreeDimensions) {
  DnnlConvSpec s;
  s.src_dims = {1, 7, 20};
  s.weight_dims = {5, 7, 4};
  s.strides = {3};
  s.pads_begin = {1};
  s.pads_end = {0};
  check_conv<DnnlConv>(s);
  s = {};
  s.src_dims = {1, 3, 5, 6, 7};
  s.weight_dims = {4, 3, 2, 3, 3};
  check_conv<DnnlConv>(s);
}

TEST(DnnlConv, EveryFusedActivationWithResidual) {
  for (const Unary u : {Unary{},
                        {UnaryOp::kRelu},
                        {UnaryOp::kLeakyRelu, 0.1f},
                        {UnaryOp::kClip, -0.5f, 0.75f},
                        {UnaryOp::kElu, 0.7f},
                        {UnaryOp::kSigmoid},
                        {UnaryOp::kTanh},
                        {UnaryOp::kHardSigmoid, 0.2f, 0.5f},
                        {UnaryOp::kHardSwish},
                        {UnaryOp::kSilu, 1.0f},
                        {UnaryOp::kMish},
                        {UnaryOp::kGeluErf},
                        {UnaryOp::kGeluTanh}}) {
    SCOPED_TRACE(static_cast<int>(u.op));
    ASSERT_TRUE(dnnl_can_fuse(u));
    for (bool residual : {false, true}) {
      DnnlConvSpec s;
      s.src_dims = {1, 8, 6, 6};
      s.weight_dims = {20, 8, 3, 3};
      s.post = {residual, u};
      check_conv<DnnlConv>(s);
    }
  }
  EXPECT_FALSE(dnnl_can_fuse({UnaryOp::kLog}));
}

// nChw16c with AVX-512, nChw8c with AVX2.
TEST(DnnlConv, PreferredLayoutIsReported) {
  DnnlConvSpec s;
  s.src_dims = {1, 32, 14, 14};
  s.weight_dims = {64, 32, 3, 3};
  s.src_layout = s.dst_layout = std::nullopt;
  check_conv<DnnlConv>(s);
}

TEST(DnnlConv, RunsUnderAnotherThreadCount) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  DnnlConvSpec s;
  s.src_dims = {1, 32, 14, 14};
  s.weight_dims = {64, 32, 3, 3};
  const auto w = random_floats(count_of(s.weight_dims), 1), x = random_floats(32 * 14 * 14, 2);
  auto conv = DnnlConv::create(s, w.data(), nullptr);
  ASSERT_TRUE(conv.ok());
  std::vector<float> a(64 * 12 * 12), b(a.size());
  conv->execute(x.data(), a.data());
  omp_set_num_threads(4);
  conv->execute(x.data(), b.data());
  EXPECT_EQ(omp_get_max_threads(), 4);
  EXPECT_EQ(conv->threads(), 1);
  EXPECT_EQ(a, b);
  omp_set_num_threads(before);
}

TEST(DnnlConv, RefusesWhatDoesNotFit) {
  DnnlConvSpec s;
  s.src_dims = {1, 8, 4, 4};
  s.weight_dims = {4, 7, 3, 3};
  EXPECT_FALSE(DnnlConv::create(s, nullptr, nullptr).ok());
  s.weight_dims = {4, 8, 5, 5};
  EXPECT_FALSE(DnnlConv::create(s, nullptr, nullptr).ok());
  s.weight_dims = {4, 8, 3, 3};
  s.strides = {1};
  EXPECT_FALSE(DnnlConv::create(s, nullptr, nullptr).ok());
}

TEST(DnnlConvTranspose, Geometries) {
  for (Layout layout : {Layout::kPlain, Layout::kChannelsLast}) {
    SCOPED_TRACE(name_of(layout));
    DnnlConvSpec s;
    s.src_layout = s.dst_layout = layout;
    s.src_dims = {2, 8, 5, 6};
    s.weight_dims = {8, 12, 3, 3};
    s.strides = {2, 2};
    s.pads_begin = {1, 0};
    s.pads_end = {1, 1};
    check_conv<DnnlConvTranspose>(s);
    s.output_padding = {1, 0};
    check_conv<DnnlConvTranspose>(s);
    s.groups = 4;
    s.weight_dims = {8, 3, 3, 3};
    s.post = {false, {UnaryOp::kRelu}};
    check_conv<DnnlConvTranspose>(s);
  }
}

struct MatMulCase {
  Dims a, b;
  bool transpose_a, transpose_b;
};

TEST(DnnlMatMul, BatchesTransposesBiasAndPackedWeights) {
  const MatMulCase cases[] = {
      {{5, 7}, {7, 9}, false, false},
      {{5, 7}, {7, 9}, true, false},
      {{5, 7}, {7, 9}, false, true},
      {{1, 64}, {64, 10}, false, true},
      {{3, 5, 7}, {7, 9}, false, false},
      {{2, 3, 5, 7}, {2, 3, 7, 4}, false, true},
      {{2, 1, 5, 7}, {1, 3, 7, 4}, false, false},
      {{4, 5, 7}, {1, 7, 1}, false, false},
      {{5, 7}, {3, 7, 4}, false, false},
      {{2, 3, 1, 7}, {7, 4}, false, false},
  };
  for (const MatMulCase& c : cases)
    for (bool constant : {false, true}) {
      auto swapped = [](DnnlMatrix m) {  // the same logical matrix, stored transposed
        const size_t r = m.dims.size();
        m.strides_elems.assign(r, 1);
        int64_t stride = m.dims[r - 1] * m.dims[r - 2];
        m.strides_elems[r - 1] = m.dims[r - 2];
        for (size_t i = r - 2; i-- > 0; stride *= m.dims[i]) m.strides_elems[i] = stride;
        return m;
      };
      DnnlMatMulSpec s;
      s.a = c.transpose_a ? swapped({c.a, {}}) : DnnlMatrix{c.a, {}};
      s.b = c.transpose_b ? swapped({c.b, {}}) : DnnlMatrix{c.b, {}};
      s.post = {true, {UnaryOp::kRelu}};
      const auto a = random_floats(count_of(c.a), 1), b = random_floats(count_of(c.b), 2);
      const int64_t m = c.a[c.a.size() - 2], k = c.a.back(), n = c.b.back();
      const auto bias = random_floats(n, 3);
      auto op = DnnlMatMul::create(s, constant ? b.data() : nullptr, bias.data());
      ASSERT_TRUE(op.ok()) << op.error().message();
      const Dims dst_dims = op->dst_dims();
      const auto residual = random_floats(count_of(dst_dims), 4);
      std::vector<float> dst(residual.size(), NAN);
      op->execute(a.data(), constant ? nullptr : b.data(), dst.data(), residual.data());
      const int64_t batches = count_of(dst_dims) / (m * n);
      for (int64_t batch = 0; batch < batches; ++batch) {
        // Broadcast offsets from the trailing batch dimensions.
        int64_t ia = 0, ib = 0, rest = batch, a_step = 1, b_step = 1;
        for (size_t i = 0; i + 2 < dst_dims.size(); ++i) {
          const size_t d = dst_dims.size() - 3 - i;
          const int64_t index = rest % dst_dims[d];
          rest /= dst_dims[d];
          const int64_t da = c.a.size() > i + 2 ? c.a[c.a.size() - 3 - i] : 1;
          const int64_t db = c.b.size() > i + 2 ? c.b[c.b.size() - 3 - i] : 1;
          ia += (da == 1 ? 0 : index) * a_step;
          ib += (db == 1 ? 0 : index) * b_step;
          a_step *= da;
          b_step *= db;
        }
        for (int64_t row = 0; row < m; ++row)
          for (int64_t col = 0; col < n; ++col) {
            double sum = bias[col] + residual[(batch * m + row) * n + col];
            for (int64_t t = 0; t < k; ++t)
              sum += double{a[ia * m * k + (c.transpose_a ? t * m + row : row * k + t)]} *
                     b[ib * k * n + (c.transpose_b ? col * k + t : t * n + col)];
            ASSERT_NEAR(dst[(batch * m + row) * n + col], std::max(sum, 0.0), 1e-5)
                << op->implementation();
          }
      }
    }
}

TEST(DnnlMatMul, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(DnnlMatMul::create({.a = {{2, 3}, {}}, .b = {{4, 5}, {}}}, nullptr, nullptr).ok());
  EXPECT_FALSE(
      DnnlMatMul::create({.a = {{2, 2, 3}, {}}, .b = {{3, 3, 5}, {}}}, nullptr, nullptr).ok());
  EXPECT_FALSE(DnnlMatMul::create({.a = {{0, 3}, {}}, .b = {{3, 5}, {}}}, nullptr, nullptr).ok());
}

TEST(DnnlPool, MaxAndAverages) {
  for (PoolKind kind : {PoolKind::kMax, PoolKind::kAverageExcludePad, PoolKind::kAverageIncludePad})
    for (int64_t dilation : {1, 2}) {
      if (dilation == 2 && kind != PoolKind::kMax) continue;
      DnnlPoolSpec s;
      s.kind = kind;
      s.src_dims = {1, 19, 9, 8};
      s.kernel = {3, 2};
      s.strides = {2, 1};
      s.dilations = {dilation, 1};
      s.pads_begin = {1, 0};
      s.pads_end = {1, 1};
      auto pool = DnnlPool::create(s);
      ASSERT_TRUE(pool.ok()) << pool.error().message();
      const auto src = random_floats(19 * 72, 1);
      const Dims dst_dims = pool->dst_dims();
      std::vector<float> dst(count_of(dst_dims), NAN);
      pool->execute(src.data(), dst.data());
      Dims o(4, 0);
      do {
        double best = -INFINITY, sum = 0;
        int inside = 0;
        for (int64_t ky = 0; ky < 3; ++ky)
          for (int64_t kx = 0; kx < 2; ++kx) {
            const int64_t y = o[2] * 2 - 1 + ky * dilation, x = o[3] + kx;
            if (y < 0 || y >= 9 || x >= 8) continue;
            const double v = src[(y * 8 + x) * 19 + o[1]];
            best = std::max(best, v);
            sum += v;
            ++inside;
          }
        const double want = kind == PoolKind::kMax
                                ? best
                                : sum / (kind == PoolKind::kAverageIncludePad ? 6 : inside);
        ASSERT_NEAR(dst[offset_of(dst_dims, Layout::kChannelsLast, o)], want, 1e-6);
      } while (next(o, dst_dims));
    }
}

TEST(DnnlReorder, LayoutsAndBfloat16) {
  const Dims dims = {2, 5, 3, 4};
  const auto src = random_floats(count_of(dims), 1);
  auto op = DnnlReorder::create({.dims = dims, .dst_layout = Layout::kChannelsLast});
  ASSERT_TRUE(op.ok());
  std::vector<float> dst(src.size());
  op->execute(src.data(), dst.data());
  Dims i(4, 0);
  do
    ASSERT_EQ(dst[offset_of(dims, Layout::kChannelsLast, i)],
              src[offset_of(dims, Layout::kPlain, i)]);
  while (next(i, dims));

  auto down = DnnlReorder::create({.dims = {120}, .dst_type = DType::kBfloat16});
  auto up = DnnlReorder::create({.dims = {120}, .src_type = DType::kBfloat16});
  ASSERT_TRUE(down.ok() && up.ok());
  std::vector<uint16_t> half(120);
  std::vector<float> back(120);
  down->execute(src.data(), half.data());
  up->execute(half.data(), back.data());
  for (int j = 0; j < 120; ++j) ASSERT_NEAR(back[j], src[j], std::abs(src[j]) / 256);
}

TEST(DnnlConv, Bfloat16WhereFast) {
  if (!dnnl_has_fast(DType::kBfloat16)) GTEST_SKIP() << "no AVX512-BF16 on this processor";
  DnnlConvSpec s;
  s.type = DType::kBfloat16;
  s.src_dims = {1, 32, 8, 8};
  s.weight_dims = {16, 32, 1, 1};
  const auto w = random_floats(count_of(s.weight_dims), 1), x = random_floats(32 * 64, 2);
  auto conv = DnnlConv::create(s, w.data(), nullptr);
  ASSERT_TRUE(conv.ok()) << conv.error().message();
  auto to_bf16 = DnnlReorder::create({.dims = {32 * 64}, .dst_type = DType::kBfloat16});
  auto to_f32 = DnnlReorder::create({.dims = {16 * 64}, .src_type = DType::kBfloat16});
  ASSERT_TRUE(to_bf16.ok() && to_f32.ok());
  std::vector<uint16_t> xb(32 * 64), yb(16 * 64);
  std::vector<float> y(16 * 64);
  to_bf16->execute(x.data(), xb.data());
  conv->execute(xb.data(), yb.data());
  to_f32->execute(yb.data(), y.data());
  for (int p = 0; p < 64; ++p)
    for (int o = 0; o < 16; ++o) {
      double sum = 0, magnitude = 0;
      for (int c = 0; c < 32; ++c) {
        sum += double{w[o * 32 + c]} * x[p * 32 + c];
        magnitude += std::abs(double{w[o * 32 + c]} * x[p * 32 + c]);
      }
      // Both factors and the result are rounded to 8 bits.
      ASSERT_NEAR(y[p * 16 + o], sum, 3 * magnitude / 256);
    }
}

}  // namespace
}  // namespace fewbit
