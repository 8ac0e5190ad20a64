// The row of AVX512-VNNI with VBMI: bytes are looked up in registers.

#if defined(__x86_64__)

// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include <type_traits>

#include "kernels/vector_codes/vector_core.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,avx2,fma,f16c")

#include <immintrin.h>

#define FEWBIT_INLINE inline __attribute__((always_inline))

namespace fewbit::vector_codes {
namespace {

// Weight d of 64 vectors, from a table of 256 bytes: four look-ups in 64, each of which overwrites
// the bytes whose codes it is for.
// (VPERMI2B looks up in 128, but Intel's processors begin one in two cycles, and it wants a blend.)
struct LargeTable {
  __m512i part[4];

  struct Masks {
    __mmask64 bit6, bit7, both;
  };
  explicit LargeTable(const uint8_t* table) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) part[i] = _mm512_loadu_si512(table + 64 * i);
  }
  static FEWBIT_INLINE Masks masks_of(__m512i codes) {
    const __mmask64 bit6 = _mm512_movepi8_mask(_mm512_slli_epi16(codes, 1));
    const __mmask64 bit7 = _mm512_movepi8_mask(codes);
    return {bit6, bit7, bit6 & bit7};
  }
  FEWBIT_INLINE __m512i look_up(__m512i codes, const Masks& masks) const {
    __m512i w = _mm512_permutexvar_epi8(codes, part[0]);
    w = _mm512_mask_permutexvar_epi8(w, masks.bit6, codes, part[1]);
    w = _mm512_mask_permutexvar_epi8(w, masks.bit7, codes, part[2]);
    return _mm512_mask_permutexvar_epi8(w, masks.both, codes, part[3]);
  }
};

// From a table of 64: what lies above the 6 bits of a code does not count.
struct SmallTable {
  __m512i part;

  struct Masks {};
  explicit SmallTable(const uint8_t* table) : part(_mm512_loadu_si512(table)) {}
  static FEWBIT_INLINE Masks masks_of(__m512i) { return {}; }
  FEWBIT_INLINE __m512i look_up(__m512i codes, const Masks&) const {
    return _mm512_permutexvar_epi8(codes, part);
  }
};

template <class Table, int M, int P>
struct Group {
  const PanelJob& job;
  const uint8_t* p[P];
  const int8_t* x[M];
  __m512i sum[P][M];

  FEWBIT_INLINE void unit(const __m512i (&codes)[P], const uint8_t* table, int64_t x_at) {
    const Layout& layout = *job.layout;
    typename Table::Masks masks[P];
#pragma GCC unroll 4
    for (int s = 0; s < P; ++s) masks[s] = Table::masks_of(codes[s]);
    for (int64_t d = 0; d < layout.dim; ++d, table += layout.entries(), x_at += kUnitVectors) {
      const Table entries(table);
#pragma GCC unroll 4
      for (int s = 0; s < P; ++s) {
        const __m512i w = entries.look_up(codes[s], masks[s]);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
          int32_t four;
          __builtin_memcpy(&four, x[m] + x_at, sizeof(four));
          sum[s][m] = _mm512_dpbusd_epi32(sum[s][m], w, _mm512_set1_epi32(four));
        }
      }
    }
  }

  FEWBIT_INLINE __m512i line(int s, int64_t i) const {
    return _mm512_loadu_si512(p[s] + i * kLineBytes);
  }

  FEWBIT_INLINE void small_chunk(const uint8_t* table) {
    const int64_t unit_elems = job.layout->unit_elems();
#pragma GCC unroll 4
    for (int u = 0; u < kSmallUnits; ++u) {
      __m512i codes[P];
#pragma GCC unroll 4
      for (int s = 0; s < P; ++s) {
        const __m512i low = u % 2 == 0 ? line(s, u / 2) : _mm512_srli_epi32(line(s, u / 2), 4);
        const __m512i top = u < 2 ? _mm512_slli_epi32(line(s, 2), 4 - 2 * u)
                                  : _mm512_srli_epi32(line(s, 2), 2 * u - 4);
        // low where the mask is set, else top.
        codes[s] = _mm512_ternarylogic_epi32(_mm512_set1_epi8(0x0f), low, top, 0xca);
      }
      unit(codes, table, u * unit_elems);
    }
  }

  FEWBIT_INLINE void chunk() {
    const Layout& layout = *job.layout;
    const uint8_t* table = job.tables;
    for (int64_t b = 0; b < layout.books; ++b, table += layout.dim * layout.entries()) {
      if constexpr (std::is_same_v<Table, SmallTable>) {
        small_chunk(table);
      } else {
        __m512i codes[P];
#pragma GCC unroll 4
        for (int s = 0; s < P; ++s) codes[s] = line(s, 0);
        unit(codes, table, 0);
      }
      skip(layout.chunk_bytes());
    }
    for (int m = 0; m < M; ++m) x[m] += layout.chunk_elems();
  }

  FEWBIT_INLINE void skip(int64_t bytes) {
#pragma GCC unroll 4
    for (int s = 0; s < P; ++s) {
      for (int64_t i = 0; i < bytes; i += kLineBytes) {
        _mm_prefetch(reinterpret_cast<const char*>(p[s] + job.prefetch_bytes + i), _MM_HINT_T0);
      }
      p[s] += bytes;
    }
  }
};

// P panels, `panels_apart` from each other, at the same time: as many streams from memory.
template <class Table, int M, int P>
void panel(const PanelJob& job, const uint8_t* first, int64_t panels_apart, float* y) {
  const Layout& layout = *job.layout;
  const Activations& a = job.x;
  Group<Table, M, P> group{job, {}, {}, {}};
  __m512 total[P][M];
  for (int s = 0; s < P; ++s) {
    group.p[s] = first + s * panels_apart * layout.panel_bytes;
    for (int m = 0; m < M; ++m) total[s][m] = _mm512_setzero_ps();
  }
  for (int m = 0; m < M; ++m) group.x[m] = a.q + m * a.q_stride;
  for (int64_t g = 0; g < layout.groups; ++g) {
    for (int m = 0; m < M; ++m) {
      for (int s = 0; s < P; ++s) {
        group.sum[s][m] = _mm512_set1_epi32(a.start[m * layout.groups + g]);
      }
    }
    for (int64_t c = 0; c < layout.chunks; ++c) group.chunk();
    for (int s = 0; s < P; ++s) {
      const __m512 scale = _mm512_loadu_ps(group.p[s]);
      for (int m = 0; m < M; ++m) {
        total[s][m] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(group.sum[s][m]), total[s][m]);
      }
    }
    group.skip(kPanelRows * 4);
  }
  for (int s = 0; s < P; ++s) {
    for (int m = 0; m < M; ++m) {
      _mm512_storeu_ps(y + m * job.y_stride + s * panels_apart * kPanelRows,
                       _mm512_mul_ps(total[s][m], _mm512_set1_ps(a.scale[m])));
    }
  }
}

template <class Table, int M>
void panels(const PanelJob& job) {
  constexpr int kTogether = M <= 4 ? 4 : 2;
  const int64_t panel_bytes = job.layout->panel_bytes;
  const int64_t apart = job.panel_count / kTogether;
  for (int64_t i = 0; i < apart; ++i) {
    panel<Table, M, kTogether>(job, job.panels + i * panel_bytes, apart, job.y + i * kPanelRows);
  }
  for (int64_t i = apart * kTogether; i < job.panel_count; ++i) {
    panel<Table, M, 1>(job, job.panels + i * panel_bytes, 0, job.y + i * kPanelRows);
  }
}

template <class Table>
void run_rows(const PanelJob& job) {
  switch (job.rows) {
    case 1:
      return panels<Table, 1>(job);
    case 2:
      return panels<Table, 2>(job);
    case 3:
      return panels<Table, 3>(job);
    case 4:
      return panels<Table, 4>(job);
    case 5:
      return panels<Table, 5>(job);
    case 6:
      return panels<Table, 6>(job);
    case 7:
      return panels<Table, 7>(job);
    default:
      return panels<Table, 8>(job);
  }
}

void run(const PanelJob& job) {
  job.layout->small ? run_rows<SmallTable>(job) : run_rows<LargeTable>(job);
}

}  // namespace

const Row kAvx512VbmiRow = {Isa::kAvx512Vnni, "avx512_vnni", true, Order::kByWeight, 128, run};

}  // namespace fewbit::vector_codes

#endif
