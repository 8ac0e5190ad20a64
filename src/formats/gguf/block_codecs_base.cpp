// The block formats for any processor: vectors of four floats.

#define FEWBIT_GGUF_LANES 4
#include "formats/gguf/all_codecs.h"

namespace fewbit::formats::gguf {

std::span<const BlockCodec> block_codecs_base() {
  return kAllCodecs;
}

}  // namespace fewbit::formats::gguf
