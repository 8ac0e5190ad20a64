// Loops of quantize.h; compiled once per vector width (vec/simd.h).

namespace fewbit::pointwise::FEWBIT_VARIANT {

/// The constants of one (scale, zero).
struct Quantizer {
  V::F scale, inverse, lo, hi, half, slack;
  V::I zero;
};

template <typename T>
FEWBIT_INLINE Quantizer make_quantizer(float scale, int32_t zero) {
  constexpr float kLo = std::numeric_limits<T>::min(), kHi = std::numeric_limits<T>::max();
  const float z = static_cast<float>(zero);
  return {V::set(scale), V::set(1.0f / scale), V::set(kLo - z), V::set(kHi - z),
          V::set(0.5f),  V::set(4e-7f),        V::set_int(zero)};
}

/// x * (1 / scale) differs from x / scale by less than 2 units in the last place, |d| <= 2.4e-7
/// |t|, so both round alike unless t lies that close to a tie: only then is the division done.
/// (Where 1 / scale overflows or is subnormal, t is no such neighbour; make_quantizer's callers
/// divide.)
FEWBIT_INLINE V::I quantize_vector(V::F x, const Quantizer& q) {
  V::F t = V::mul(x, q.inverse);
  t = V::min(V::max(t, q.lo), q.hi);
  V::F r = V::round(t);
  const V::F distance = V::abs(V::sub(t, r));
  if (V::any(V::lt(V::fma(V::abs(t), V::sub(V::set(0.0f), q.slack), q.half), distance)))
    r = V::round(V::min(V::max(V::div(x, q.scale), q.lo), q.hi));
  return V::add_int(V::to_int(r), q.zero);
}

FEWBIT_INLINE V::I quantize_vector_by_division(V::F x, const Quantizer& q) {
  return V::add_int(V::to_int(V::min(V::max(V::div(x, q.scale), q.lo), q.hi)), q.zero);
}

/// True if 1 / scale is normal and as exact as the bound above assumes.
FEWBIT_INLINE bool has_inverse(float scale) {
  return scale > 1e-30f && scale < 1e30f;
}

template <typename T>
static void quantize_span(const float* src, void* out, int64_t n, float scale, int32_t zero) {
  T* dst = static_cast<T*>(out);
  const Quantizer q = make_quantizer<T>(scale, zero);
  if (has_inverse(scale))
    sweep(
        n, [&](int64_t i, auto t) __attribute__((always_inline)) {
          store_narrow(dst + i, quantize_vector(load(src + i, t), q), t);
        });
  else
    sweep(
        n, [&](int64_t i, auto t) __attribute__((always_inline)) {
          store_narrow(dst + i, quantize_vector_by_division(load(src + i, t), q), t);
        });
}

/// One scale per element (the channel is the innermost dimension).
template <typename T>
static void quantize_row(const float* src, void* out, int64_t n, const float* scale,
                         const int32_t* zero) {
  T* dst = static_cast<T*>(out);
  constexpr float kLo = std::numeric_limits<T>::min(), kHi = std::numeric_limits<T>::max();
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        const V::I z = load_wide(zero + i, t);
        const V::F zf = V::to_float(z);
        V::F x = V::div(load(src + i, t), load(scale + i, t));
        x = V::min(V::max(x, V::sub(V::set(kLo), zf)), V::sub(V::set(kHi), zf));
        store_narrow(dst + i, V::add_int(V::to_int(x), z), t);
      });
}

template <typename T>
static void dequantize_span(const void* in, float* dst, int64_t n, float scale, int32_t zero) {
  const T* src = static_cast<const T*>(in);
  const V::F s = V::set(scale);
  const V::I z = V::set_int(zero);
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        store(dst + i, V::mul(V::to_float(V::sub_int(load_wide(src + i, t), z)), s), t);
      });
}

template <typename T>
static void dequantize_row(const void* in, float* dst, int64_t n, const float* scale,
                           const int32_t* zero) {
  const T* src = static_cast<const T*>(in);
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        const V::I q = V::sub_int(load_wide(src + i, t), load_wide(zero + i, t));
        store(dst + i, V::mul(V::to_float(q), load(scale + i, t)), t);
      });
}

static void min_max_span(const float* src, int64_t n, float* least, float* largest) {
  // Two chains each: the instructions have a latency of two to four cycles. The loaded value is the
  // first operand, so a NaN leaves the running value.
  V::F lo0 = V::set(INFINITY), lo1 = lo0, hi0 = V::set(-INFINITY), hi1 = hi0;
  int64_t i = 0;
  for (; i + 2 * V::kLanes <= n; i += 2 * V::kLanes) {
    const V::F a = V::load(src + i), b = V::load(src + i + V::kLanes);
    lo0 = V::min(a, lo0);
    hi0 = V::max(a, hi0);
    lo1 = V::min(b, lo1);
    hi1 = V::max(b, hi1);
  }
  float lo = V::least(V::min(lo0, lo1)), hi = V::largest(V::max(hi0, hi1));
  for (; i < n; ++i) {
    lo = src[i] < lo ? src[i] : lo;
    hi = src[i] > hi ? src[i] : hi;
  }
  *least = lo;
  *largest = hi;
}

/// [channels, pixels] -> [pixels, 4] bytes for up to four channels: a pixel is one 32-bit lane.
template <typename T>
static void quantize_quads(const float* src, T* dst, int64_t channels, int64_t pixels,
                           int64_t begin, int64_t end, float scale, int32_t zero) {
  const Quantizer q = make_quantizer<T>(scale, zero);
  const V::I byte = V::set_int(255), filler = V::and_int(V::set_int(zero), byte);
  sweep(
      end - begin, [&](int64_t i, auto t) __attribute__((always_inline)) {
        auto code = [&](int64_t c) __attribute__((always_inline)) {
          if (c >= channels) return filler;
          return V::and_int(quantize_vector(load(src + c * pixels + begin + i, t), q), byte);
        };
        const V::I low = V::or_int(code(0), V::template shift_left<8>(code(1)));
        const V::I high = V::or_int(code(2), V::template shift_left<8>(code(3)));
        store_narrow(reinterpret_cast<int32_t*>(dst + 4 * (begin + i)),
                     V::or_int(low, V::template shift_left<16>(high)), t);
      });
}

/// [channels, pixels] -> [pixels, stride]: 16 channels or fewer at a time; quantizes a few vectors
/// of each channel into a small buffer, then interleaves its bytes.
template <typename T>
static void quantize_planes(const float* src, void* out, int64_t channels, int64_t pixels,
                            int64_t begin, int64_t end, int64_t stride, float scale, int32_t zero) {
  constexpr int64_t kBlock = 64;
  constexpr int64_t kMaxChannels = 16;
  T* dst = static_cast<T*>(out);
  if (sizeof(T) == 1 && channels <= 4 && stride == 4 && has_inverse(scale))
    return quantize_quads(src, dst, channels, pixels, begin, end, scale, zero);
  T block[kMaxChannels][kBlock];
  for (int64_t first = 0; first < channels; first += kMaxChannels) {
    const int64_t count = std::min(kMaxChannels, channels - first);
    const bool last = first + count == channels;
    for (int64_t p = begin; p < end; p += kBlock) {
      const int64_t width = std::min(kBlock, end - p);
      for (int64_t c = 0; c < count; ++c)
        quantize_span<T>(src + (first + c) * pixels + p, block[c], width, scale, zero);
      T* row = dst + p * stride + first;
      if (count == 3 && stride == 3) {
        for (int64_t i = 0; i < width; ++i) {
          row[i * 3] = block[0][i];
          row[i * 3 + 1] = block[1][i];
          row[i * 3 + 2] = block[2][i];
        }
        continue;
      }
      for (int64_t i = 0; i < width; ++i) {
        for (int64_t c = 0; c < count; ++c) row[i * stride + c] = block[c][i];
        if (last)
          for (int64_t c = count; c < stride - first; ++c)
            row[i * stride + c] = static_cast<T>(zero);
      }
    }
  }
}

template <typename T>
constexpr QuantizeRow make_row() {
  return {quantize_span<T>, quantize_row<T>, dequantize_span<T>, dequantize_row<T>,
          quantize_planes<T>};
}

static constexpr QuantizeTable kTable = {
    make_row<uint8_t>(),
    make_row<int8_t>(),
    make_row<uint16_t>(),
    make_row<int16_t>(),
    {nullptr, nullptr, dequantize_span<int32_t>, dequantize_row<int32_t>, nullptr},
    min_max_span,
};

}  // namespace fewbit::pointwise::FEWBIT_VARIANT
