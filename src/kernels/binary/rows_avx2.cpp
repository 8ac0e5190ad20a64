// AVX2: bits are counted by looking up both halves of a byte (Mula, "SSSE3: fast popcount"), bytes
// are added up by VPSADBW.

#if defined(__x86_64__)

#include "kernels/binary/bit_core.h"

#pragma GCC target("avx2")

#include <immintrin.h>

#include "kernels/binary/tile_kernel.h"

namespace fewbit::binary {
namespace {

#define FEWBIT_INLINE static inline __attribute__((always_inline))

struct VecAvx2 {
  struct Word {
    __m256i half[2];
  };
  using Sum = Word;

  FEWBIT_INLINE Sum zero() { return {{_mm256_setzero_si256(), _mm256_setzero_si256()}}; }
  FEWBIT_INLINE Word load(const uint64_t* w) {
    return {{_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)),
             _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 4))}};
  }
  FEWBIT_INLINE __m256i count(__m256i bits) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                           2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(bits, mask));
    const __m256i high =
        _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bits, 4), mask));
    return _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
  }
  template <Op kOp>
  FEWBIT_INLINE void add(Sum& sum, Word w, const uint64_t* a) {
    const __m256i x = _mm256_set1_epi64x(static_cast<int64_t>(*a));
    for (int i = 0; i < 2; ++i) {
      const __m256i bits =
          kOp == Op::kXor ? _mm256_xor_si256(w.half[i], x) : _mm256_and_si256(w.half[i], x);
      sum.half[i] = _mm256_add_epi64(sum.half[i], count(bits));
    }
  }
  FEWBIT_INLINE void store(int32_t* to, const Sum& sum) {
    alignas(32) int64_t lanes[kLanes];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum.half[0]);
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes + 4), sum.half[1]);
    for (int i = 0; i < kLanes; ++i) to[i] = static_cast<int32_t>(lanes[i]);
  }
};

#undef FEWBIT_INLINE

}  // namespace

const Row kAvx2Row = {Isa::kAvx2, "avx2", [] { return isa_runs_here(Isa::kAvx2); },
                      any_tile<VecAvx2, Op::kXor>, any_tile<VecAvx2, Op::kAnd>};

}  // namespace fewbit::binary

#endif
