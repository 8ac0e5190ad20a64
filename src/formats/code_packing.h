#pragma once
// How the codes of one row become bytes.
//
//   planes      codes of 1 to 8 bits as code_planes.h describes
//   trits 5/8   five codes of {0, 1, 2} in a byte, 1.6 bits each: byte = ceil(n * 256 / 243) with
//               n = sum_k code_k 3^(4-k), so that code_k is the upper byte of
//               ((byte * 3^k) mod 256) * 3: multiplications only, no division (as in llama.cpp's
//               TQ1_0, compilade, 2024)
//   trits 3/5   three codes in 5 bits, 1.67 bits each: of (t0, t1, t2) in {-1, 0, 1} and its
//               negative one is kept, and a sign: index = |9 t0 + 3 t1 + t2| in [0, 13], sign above
//               it; then planes of 5 bits (4 for a table of 16, 1 for the sign). After bitnet.cpp's
//               TL2 (J. Wang et al., Bitnet.cpp: Efficient Edge Inference for Ternary LLMs, 2025)

#include <cstdint>

namespace fewbit::formats {

enum class CodePacking : uint8_t { kPlanes, kTrits5In8, kTrits3In5 };

/// Bytes of a row of `count` codes; `bits` is of planes.
int64_t packed_row_bytes(CodePacking packing, int64_t count, int bits);

/// codes [count] -> bytes [packed_row_bytes]. Trits: codes 0, 1, 2 for -1, 0, 1; the last byte is
/// filled up with code 1.
void pack_row(CodePacking packing, const uint8_t* codes, int64_t count, int bits, uint8_t* bytes);
/// The inverse. Patterns that pack_row never writes give codes in range.
void unpack_row(CodePacking packing, const uint8_t* bytes, int64_t count, int bits, uint8_t* codes);

}  // namespace fewbit::formats
