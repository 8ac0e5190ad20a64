#include "kernels/layout.h"

namespace fewbit {

namespace {

struct Row {
  std::string_view name;
  int64_t channel_block;
};
// In the order of the enumeration.
constexpr Row kRows[] = {{"plain", 1}, {"channels_last", 1}, {"blocked8c", 8}, {"blocked16c", 16}};

}  // namespace

std::string_view name_of(Layout layout) {
  return kRows[static_cast<size_t>(layout)].name;
}

int64_t layout_elems(Layout layout, std::span<const int64_t> dims) {
  const int64_t block = kRows[static_cast<size_t>(layout)].channel_block;
  int64_t elems = 1;
  for (size_t i = 0; i < dims.size(); ++i)
    elems *= i == 1 ? (dims[i] + block - 1) / block * block : dims[i];
  return elems;
}

}  // namespace fewbit
