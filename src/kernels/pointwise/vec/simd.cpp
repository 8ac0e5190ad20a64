#include "kernels/pointwise/vec/simd.h"

#include <atomic>

#include "kernels/isa.h"

namespace fewbit::pointwise {

namespace {

std::atomic<int> forced{-1};

Simd detect() {
  // A wrong FEWBIT_ISA is reported when a plan is prepared; until then the plainest code is right.
  const Result<Isa> isa = selected_isa();
  if (!isa.ok()) return Simd::kScalar;
  switch (*isa) {
    case Isa::kAmx:
    case Isa::kAvx512Vnni:
      return Simd::kAvx512;
    case Isa::kAvxVnni:
    case Isa::kAvx2:
      return Simd::kAvx2;
    case Isa::kScalar:
    case Isa::kNeonDotprod:
    case Isa::kNeonI8mm:
      break;
  }
  return Simd::kScalar;
}

}  // namespace

Simd simd() {
  const int f = forced.load(std::memory_order_relaxed);
  if (f >= 0) return static_cast<Simd>(f);
  static const Simd detected = detect();
  return detected;
}

bool simd_runs_here(Simd level) {
  return level == Simd::kScalar ||
         isa_runs_here(level == Simd::kAvx512 ? Isa::kAvx512Vnni : Isa::kAvx2);
}

SimdScope::SimdScope(Simd level) : before_(forced.exchange(static_cast<int>(level))) {}
SimdScope::~SimdScope() {
  forced.store(before_);
}

}  // namespace fewbit::pointwise
