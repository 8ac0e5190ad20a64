#pragma once
// How the elements of an activation lie in memory. Dimensions are always logical (N, C,
// spatial...).

#include <cstdint>
#include <span>
#include <string_view>

namespace fewbit {

/// Where element (n, c, spatial...) of an activation lies.
enum class Layout : uint8_t {
  kPlain,         ///< N C spatial, as ONNX has it
  kChannelsLast,  ///< N spatial C
  kBlocked8c,     ///< N C/8 spatial 8c: channels padded with zeros to a multiple of 8
  kBlocked16c,    ///< N C/16 spatial 16c
};
std::string_view name_of(Layout layout);

/// Elements a buffer of that layout takes: blocked layouts round the channels (dims[1]) up.
int64_t layout_elems(Layout layout, std::span<const int64_t> dims);

}  // namespace fewbit
