#pragma once
// The trial by which one row of activations finds how to walk memory (kernels/stream_tuning.h).

#include "kernels/few_bit/few_bit_core.h"
#include "kernels/stream_tuning.h"

namespace fewbit::few_bit {

/// What this row of the table measured on this machine, with so many threads.
StreamTuning streams_of(const Row& row, int threads);

}  // namespace fewbit::few_bit
