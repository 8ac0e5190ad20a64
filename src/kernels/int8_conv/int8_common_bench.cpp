// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include <omp.h>

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>

#include "kernels/int8_conv/int8_bench_common.h"
#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fewbit::bench {
namespace {

#if defined(__x86_64__)

// Twelve independent chains hide the latency of the dot product; the empty asm keeps the compiler
// from folding them.
__attribute__((target("avx512f,avx512vnni"))) int dots_512(int64_t count) {
  __m512i x = _mm512_set1_epi8(3);
  __m512i s[12];
#pragma GCC unroll 12
  for (int j = 0; j < 12; ++j) s[j] = _mm512_set1_epi32(j);
  for (int64_t i = 0; i < count; ++i) {
    __asm__("" : "+v"(x));
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) s[j] = _mm512_dpbusd_epi32(s[j], x, x);
  }
#pragma GCC unroll 12
  for (int j = 1; j < 12; ++j) s[0] = _mm512_add_epi32(s[0], s[j]);
  return _mm_cvtsi128_si32(_mm512_castsi512_si128(s[0]));
}

__attribute__((target("avx2,avxvnni"))) int dots_256(int64_t count) {
  __m256i x = _mm256_set1_epi8(3);
  __m256i s[12];
#pragma GCC unroll 12
  for (int j = 0; j < 12; ++j) s[j] = _mm256_set1_epi32(j);
  for (int64_t i = 0; i < count; ++i) {
    __asm__("" : "+x"(x));
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) s[j] = _mm256_dpbusd_avx_epi32(s[j], x, x);
  }
#pragma GCC unroll 12
  for (int j = 1; j < 12; ++j) s[0] = _mm256_add_epi32(s[0], s[j]);
  return _mm256_extract_epi32(s[0], 0);
}

#endif

dnnl::engine& engine() {
  static dnnl::engine e(dnnl::engine::kind::cpu, 0);
  return e;
}

using Memory = dnnl::memory;

// oneDNN 2.x names scales in the attributes; the layer is prepared once and run many times.
struct Prepared {
  dnnl::stream stream{engine()};
  dnnl::primitive primitive;
  std::unordered_map<int, Memory> args;
  std::vector<Memory> keep;
};

Memory filled(const Memory::desc& desc, const Tensor& bytes) {
  Memory m(desc, engine());
  std::copy_n(bytes.data<uint8_t>(), static_cast<size_t>(bytes.bytes()),
              static_cast<uint8_t*>(m.get_data_handle()));
  return m;
}

Memory reordered(Memory from, const Memory::desc& to, dnnl::stream& stream) {
  Memory out(to, engine());
  dnnl::reorder(from, out).execute(stream, from, out);
  stream.wait();
  return out;
}

}  // namespace

double vnni_gmacs() {
#if defined(__x86_64__)
  constexpr int64_t kCount = 200000;
  const bool wide = isa_runs_here(Isa::kAvx512Vnni);
  if (!wide && !isa_runs_here(Isa::kAvxVnni)) return 0;
  volatile int sink = 0;
  const auto run = [&] { sink = wide ? dots_512(kCount) : dots_256(kCount); };
  const double us = time_pair(run, run, 0.3).ours_us;
  return static_cast<double>(kCount) * 12 * (wide ? 64 : 32) / us / 1e3;
#else
  return 0;
#endif
}

Tensor random_bytes(int64_t count) {
  static std::mt19937 generator(11);
  Tensor out = Tensor::uninitialized(DType::kUint8, {count});
  for (uint8_t& byte : out.span<uint8_t>()) byte = static_cast<uint8_t>(generator());
  return out;
}

Int8ConvSpec plain_spec(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups) {
  Int8ConvSpec s;
  s.in_channels = in;
  s.out_channels = out;
  s.groups = groups;
  s.kernel_h = s.kernel_w = kernel;
  s.stride_h = s.stride_w = stride;
  s.pad_top = s.pad_left = kernel / 2;
  s.output.scale.assign(static_cast<size_t>(out), 1e-4F);
  return s;
}

std::function<void()> dnnl_conv(const Int8ConvSpec& s, const Int8ConvShape& shape,
                                const Tensor& weights, const Tensor& input) {
  using dt = Memory::data_type;
  using tag = Memory::format_tag;
  auto p = std::make_shared<Prepared>();
  const bool grouped = s.groups > 1;
  const Memory::dims w_dims =
      grouped ? Memory::dims{s.groups, s.group_out_channels(), s.group_in_channels(), s.kernel_h,
                             s.kernel_w}
              : Memory::dims{s.out_channels, s.in_channels, s.kernel_h, s.kernel_w};
  const Memory::desc src({shape.batch, s.in_channels, shape.in_h, shape.in_w}, dt::u8, tag::nhwc);
  const Memory::desc dst({shape.batch, s.out_channels, shape.out_h, shape.out_w}, dt::u8,
                         tag::nhwc);
  const Memory::desc plain(w_dims, dt::s8, grouped ? tag::goihw : tag::oihw);
  const Memory::desc any(w_dims, dt::s8, tag::any);
  const Memory::desc bias({s.out_channels}, dt::s32, tag::x);
  const auto end_pad = [](int64_t in, int64_t out, int64_t k, int64_t stride, int64_t begin) {
    return (out - 1) * stride + k - in - begin;
  };
  const Memory::dims pad_end = {
      end_pad(shape.in_h, shape.out_h, s.kernel_h, s.stride_h, s.pad_top),
      end_pad(shape.in_w, shape.out_w, s.kernel_w, s.stride_w, s.pad_left)};
  dnnl::primitive_attr attr;
  attr.set_output_scales(2, s.output.scale);
  dnnl::post_ops ops;
  ops.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0, 0);
  attr.set_post_ops(ops);
  const dnnl::convolution_forward::desc desc(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, src, any, bias, dst,
      {s.stride_h, s.stride_w}, {s.pad_top, s.pad_left}, pad_end);
  const dnnl::convolution_forward::primitive_desc pd(desc, attr, engine());
  p->primitive = dnnl::convolution_forward(pd);
  const Memory packed = reordered(filled(plain, weights), pd.weights_desc(), p->stream);
  p->args = {{DNNL_ARG_SRC, filled(src, input)},
             {DNNL_ARG_WEIGHTS, packed},
             {DNNL_ARG_BIAS, filled(bias, Tensor::zeros(DType::kInt32, {s.out_channels}))},
             {DNNL_ARG_DST, Memory(dst, engine())}};
  return [p] {
    p->primitive.execute(p->stream, p->args);
    p->stream.wait();
  };
}

std::function<void()> dnnl_matmul(int64_t m, int64_t n, int64_t k, const Tensor& a,
                                  const Tensor& b) {
  using dt = Memory::data_type;
  using tag = Memory::format_tag;
  auto p = std::make_shared<Prepared>();
  const Memory::desc src({m, k}, dt::u8, tag::ab), dst({m, n}, dt::u8, tag::ab);
  const Memory::desc plain({k, n}, dt::s8, tag::ab), any({k, n}, dt::s8, tag::any);
  dnnl::primitive_attr attr;
  attr.set_output_scales(2, std::vector<float>(static_cast<size_t>(n), 1e-4F));
  const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(src, any, dst), attr, engine());
  p->primitive = dnnl::matmul(pd);
  p->args = {{DNNL_ARG_SRC, filled(src, a)},
             {DNNL_ARG_WEIGHTS, reordered(filled(plain, b), pd.weights_desc(), p->stream)},
             {DNNL_ARG_DST, Memory(dst, engine())}};
  return [p] {
    p->primitive.execute(p->stream, p->args);
    p->stream.wait();
  };
}

}  // namespace fewbit::bench
