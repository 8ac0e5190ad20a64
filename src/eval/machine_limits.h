#pragma once
// What this machine can do at most, measured: multiply-accumulates per second from registers, and
// bytes per second from memory. Against these a layer's time is put in proportion (the roofline
// model, Williams, Waterman and Patterson 2009).

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/kernel_cases.h"

namespace fewbit {

struct MachinePeak {
  double macs_per_second = 0;
  std::string_view instruction;  ///< "vpdpbusd zmm", ...
};

struct MachineLimits {
  int threads = 0;
  MachinePeak int8;      ///< 8-bit multiply-accumulates into 32 bits
  MachinePeak float32;   ///< fused multiply-adds
  MachinePeak bfloat16;  ///< bfloat16 products summed in float32: AMX tiles, else as float32
  MachinePeak binary;    ///< products of single bits

  const MachinePeak& of(KernelArithmetic arithmetic) const;
};

/// One instruction that multiplies and accumulates, in a loop without memory access.
struct PeakRow {
  Isa isa;
  KernelArithmetic arithmetic;
  std::string_view instruction;
  int64_t macs_per_round;
  void (*loop)(int64_t rounds);
  bool (*has_more)() = nullptr;  ///< whether what it needs beside its Isa is here
};
std::span<const PeakRow> peak_table();

/// The best of what runs here, on so many threads at once. Takes some 0.1 s the first time; kept
/// for the process.
const MachineLimits& machine_limits(int threads);

/// Bytes per second that `threads` threads read from a buffer of this size again and again: the
/// cache's speed for what fits into it, else the memory's. Takes some 0.1 s; the size is brought
/// into [64 KiB, 256 MiB].
double read_bandwidth(int threads, int64_t buffer_bytes);

}  // namespace fewbit
