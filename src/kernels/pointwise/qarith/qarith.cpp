#include "kernels/pointwise/qarith/qarith.h"

#include "base/check.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {

namespace {

struct QAddArgs {
  float ra, rb, fixed, lo, hi;
};
struct QMulArgs {
  int32_t za, zb;
  float r, zero, lo, hi;
};

/// Indexed by each operand's step: 0 repeats its one value, 1 walks along.
struct QArithRow {
  void (*add[2][2])(const void*, const void*, void*, int64_t, const QAddArgs&);
  void (*mul[2][2])(const void*, const void*, void*, int64_t, const QMulArgs&);
};
struct QArithTable {
  QArithRow u8, s8;
};

}  // namespace
}  // namespace fewbit::pointwise

#define FEWBIT_LOOPS "kernels/pointwise/qarith/qarith_loops.h"
#include "kernels/pointwise/vec/variants.h"

namespace fewbit::pointwise {

namespace {

const QArithRow& row_of(DType type) {
  FEWBIT_CHECK(type == DType::kUint8 || type == DType::kInt8, static_cast<int>(type));
  const QArithTable& t = pick(scalar::kTable, avx2::kTable, avx512::kTable);
  return type == DType::kUint8 ? t.u8 : t.s8;
}

template <typename Functions, typename Args>
void run(const Functions& functions, const BroadcastLoops& loops, const void* a, const void* b,
         void* dst, const Args& args) {
  for_each_piece(loops, [&](int64_t ia, int64_t ib, int64_t o, int64_t n, int64_t sa, int64_t sb) {
    functions[sa][sb](static_cast<const std::byte*>(a) + ia, static_cast<const std::byte*>(b) + ib,
                      static_cast<std::byte*>(dst) + o, n, args);
  });
}

}  // namespace

QClamp full_range(DType type) {
  return type == DType::kUint8 ? QClamp{0, 255} : QClamp{-128, 127};
}

void qadd(DType type, const BroadcastLoops& loops, const void* a, QAffine qa, const void* b,
          QAffine qb, void* dst, QAffine qd, QClamp clamp) {
  const float ra = qa.scale / qd.scale, rb = qb.scale / qd.scale;
  const float za = static_cast<float>(qa.zero), zb = static_cast<float>(qb.zero);
  const QAddArgs args = {ra, rb, static_cast<float>(qd.zero) - (ra * za + rb * zb),
                         static_cast<float>(clamp.lo), static_cast<float>(clamp.hi)};
  run(row_of(type).add, loops, a, b, dst, args);
}

void qmul(DType type, const BroadcastLoops& loops, const void* a, QAffine qa, const void* b,
          QAffine qb, void* dst, QAffine qd, QClamp clamp) {
  const QMulArgs args = {qa.zero,
                         qb.zero,
                         qa.scale * qb.scale / qd.scale,
                         static_cast<float>(qd.zero),
                         static_cast<float>(clamp.lo),
                         static_cast<float>(clamp.hi)};
  run(row_of(type).mul, loops, a, b, dst, args);
}

}  // namespace fewbit::pointwise
