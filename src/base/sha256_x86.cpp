// SHA-256 in the processor's own instructions (Intel SDM, SHA256RNDS2, SHA256MSG1, SHA256MSG2).

#include "base/sha256_rounds.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

namespace fewbit::internal {

bool has_sha_instructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  if ((c & bit_SSSE3) == 0 || (c & bit_SSE4_1) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

// The instructions keep the eight words in two registers, from the lowest lane up: f e b a and
// h g d c. Two rounds advance one of them, reading both, so they swap roles every two rounds.
__attribute__((target("sha,sse4.1,ssse3"))) void sha256_blocks_x86(Sha256State& state,
                                                                   const uint8_t* bytes,
                                                                   size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  auto* words = reinterpret_cast<__m128i*>(state.data());
  const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xb1);
  const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1b);
  __m128i feba = _mm_alignr_epi8(badc, hgfe, 8);
  __m128i hgdc = _mm_blend_epi16(hgfe, badc, 0xf0);
  for (; blocks > 0; --blocks, bytes += 64) {
    const __m128i feba_before = feba, hgdc_before = hgdc;
    __m128i w[4];  // the last 16 words of the message schedule, W of the standard
    for (int i = 0; i < 4; ++i) {
      const auto* four = reinterpret_cast<const __m128i*>(bytes) + i;
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(four), big_endian);
    }
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r) {  // four rounds each
      const auto* constants = reinterpret_cast<const __m128i*>(&kSha256Rounds[4 * r]);
      const __m128i kw = _mm_add_epi32(w[r % 4], _mm_loadu_si128(constants));
      hgdc = _mm_sha256rnds2_epu32(hgdc, feba, kw);
      feba = _mm_sha256rnds2_epu32(feba, hgdc, _mm_shuffle_epi32(kw, 0x0e));
      if (r >= 12) continue;
      const __m128i newest = w[(r + 3) % 4];
      const __m128i seven_back = _mm_alignr_epi8(newest, w[(r + 2) % 4], 4);
      const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[r % 4], w[(r + 1) % 4]), seven_back);
      w[r % 4] = _mm_sha256msg2_epu32(sum, newest);
    }
    feba = _mm_add_epi32(feba, feba_before);
    hgdc = _mm_add_epi32(hgdc, hgdc_before);
  }
  const __m128i abef = _mm_shuffle_epi32(feba, 0x1b);
  const __m128i ghcd = _mm_shuffle_epi32(hgdc, 0xb1);
  _mm_storeu_si128(words, _mm_blend_epi16(abef, ghcd, 0xf0));
  _mm_storeu_si128(words + 1, _mm_alignr_epi8(ghcd, abef, 8));
}

}  // namespace fewbit::internal

#else

namespace fewbit::internal {

bool has_sha_instructions() {
  return false;
}

// Never asked for: has_sha_instructions() is false.
void sha256_blocks_x86(Sha256State& state, const uint8_t* bytes, size_t blocks) {
  sha256_blocks_plain(state, bytes, blocks);
}

}  // namespace fewbit::internal

#endif
