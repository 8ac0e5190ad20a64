// Loops of pool.h; compiled once per vector width (vec/simd.h). A pixel is one output position: its
// taps are the positions under the window, count > 0 of them, as offsets in bytes from `src`.

namespace fewbit::pointwise::FEWBIT_VARIANT {

template <typename T>
static void max_bytes_pixel(const std::byte* src, const int64_t* taps, int count, void* dst,
                            int64_t channels) {
  uint8_t* out = static_cast<uint8_t*>(dst);
  int64_t c = 0;
  for (; c + V::kByteLanes <= channels; c += V::kByteLanes) {
    V::B best = V::load_bytes(src + taps[0] + c);
    for (int t = 1; t < count; ++t)
      best = V::template max_bytes<T>(best, V::load_bytes(src + taps[t] + c));
    V::store_bytes(out + c, best);
  }
  if (c == channels) return;
  const int rest = static_cast<int>(channels - c);
  V::B best = V::load_bytes_n(src + taps[0] + c, rest);
  for (int t = 1; t < count; ++t)
    best = V::template max_bytes<T>(best, V::load_bytes_n(src + taps[t] + c, rest));
  V::store_bytes_n(out + c, best, rest);
}

static void max_float_pixel(const std::byte* src, const int64_t* taps, int count, void* dst,
                            int64_t channels) {
  float* out = static_cast<float*>(dst);
  sweep(
      channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
        V::F best = V::set(-INFINITY);
        for (int t = 0; t < count; ++t)
          best = V::max(load(reinterpret_cast<const float*>(src + taps[t]) + c, tail), best);
        store(out + c, best, tail);
      });
}

static void average_pixel(const std::byte* src, const int64_t* taps, int count, float divisor,
                          float* dst, int64_t channels) {
  const V::F d = V::set(divisor);
  sweep(
      channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
        V::F sum = load(reinterpret_cast<const float*>(src + taps[0]) + c, tail);
        for (int t = 1; t < count; ++t)
          sum = V::add(sum, load(reinterpret_cast<const float*>(src + taps[t]) + c, tail));
        store(dst + c, V::div(sum, d), tail);
      });
}

template <typename T, typename Tail>
FEWBIT_INLINE void finish_sum(V::I sum, const AverageArgs& k, T* dst, Tail tail) {
  V::F x = V::mul(V::to_float(V::sub_int(sum, V::set_int(k.zero_sum))), V::set(k.scale));
  x = V::min(V::max(x, V::set(k.lo)), V::set(k.hi));
  store_narrow(dst, V::add_int(V::to_int(x), V::set_int(k.out_zero)), tail);
}

template <typename T>
static void average_quantized_pixel(const std::byte* src, const int64_t* taps, int count,
                                    const AverageArgs& k, void* dst, int64_t channels) {
  T* out = static_cast<T*>(dst);
  sweep(
      channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
        V::I sum = load_wide(reinterpret_cast<const T*>(src + taps[0]) + c, tail);
        for (int t = 1; t < count; ++t)
          sum = V::add_int(sum, load_wide(reinterpret_cast<const T*>(src + taps[t]) + c, tail));
        finish_sum(sum, k, out + c, tail);
      });
}

/// Channels [begin, end) of one image, summed over its pixels four vectors at a time; floats first
/// in runs of 64 pixels, so that the rounding error grows with the square root only.
static void global_float(const float* src, float* dst, int64_t pixels, int64_t channels,
                         int64_t begin, int64_t end) {
  const V::F divisor = V::set(static_cast<float>(pixels));
  int64_t c = begin;
  for (; c + 4 * V::kLanes <= end; c += 4 * V::kLanes) {
    V::F total[4] = {V::set(0), V::set(0), V::set(0), V::set(0)};
    for (int64_t first = 0; first < pixels; first += 64) {
      V::F run[4] = {V::set(0), V::set(0), V::set(0), V::set(0)};
      const int64_t last = first + 64 < pixels ? first + 64 : pixels;
      for (int64_t p = first; p < last; ++p)
        for (int j = 0; j < 4; ++j)
          run[j] = V::add(run[j], V::load(src + p * channels + c + j * V::kLanes));
      for (int j = 0; j < 4; ++j) total[j] = V::add(total[j], run[j]);
    }
    for (int j = 0; j < 4; ++j) V::store(dst + c + j * V::kLanes, V::div(total[j], divisor));
  }
  sweep(
      end - c, [&](int64_t i, auto tail) __attribute__((always_inline)) {
        V::F total = V::set(0);
        for (int64_t first = 0; first < pixels; first += 64) {
          V::F run = V::set(0);
          const int64_t last = first + 64 < pixels ? first + 64 : pixels;
          for (int64_t p = first; p < last; ++p)
            run = V::add(run, load(src + p * channels + c + i, tail));
          total = V::add(total, run);
        }
        store(dst + c + i, V::div(total, divisor), tail);
      });
}

template <typename T>
static void global_quantized(const void* in, void* out, int64_t pixels, int64_t channels,
                             int64_t begin, int64_t end, const AverageArgs& k) {
  const T* src = static_cast<const T*>(in);
  T* dst = static_cast<T*>(out);
  int64_t c = begin;
  for (; c + 4 * V::kLanes <= end; c += 4 * V::kLanes) {
    V::I sum[4] = {V::set_int(0), V::set_int(0), V::set_int(0), V::set_int(0)};
    for (int64_t p = 0; p < pixels; ++p)
      for (int j = 0; j < 4; ++j)
        sum[j] = V::add_int(sum[j], V::load_wide(src + p * channels + c + j * V::kLanes));
    for (int j = 0; j < 4; ++j) finish_sum(sum[j], k, dst + c + j * V::kLanes, Whole{});
  }
  sweep(
      end - c, [&](int64_t i, auto tail) __attribute__((always_inline)) {
        V::I sum = V::set_int(0);
        for (int64_t p = 0; p < pixels; ++p)
          sum = V::add_int(sum, load_wide(src + p * channels + c + i, tail));
        finish_sum(sum, k, dst + c + i, tail);
      });
}

static constexpr PoolTable kTable = {
    max_float_pixel, max_bytes_pixel<uint8_t>,         max_bytes_pixel<int8_t>,
    average_pixel,   average_quantized_pixel<uint8_t>, average_quantized_pixel<int8_t>,
    global_float,    global_quantized<uint8_t>,        global_quantized<int8_t>,
};

}  // namespace fewbit::pointwise::FEWBIT_VARIANT
