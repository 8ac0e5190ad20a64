// Blocks of many rows on tiles without the instructions.

#include "kernels/few_bit/amx_block.h"
#include "kernels/few_bit/vec_scalar.h"

namespace fewbit::few_bit {

void amx_block_emulated(const BlockJob& job) {
  AmxBlock<EmulatedTile, VecScalar>::run(job);
}

}  // namespace fewbit::few_bit
