#include "base/huge_buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace fewbit {

Tensor huge_bytes(int64_t bytes) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const auto size = static_cast<size_t>(bytes);
  if (size < kHugePage) return Tensor::zeros(DType::kUint8, {bytes});
  const size_t whole = (size + kHugePage - 1) / kHugePage * kHugePage;
  void* memory = std::aligned_alloc(kHugePage, whole);
  if (memory == nullptr) throw std::bad_alloc();
  // Refused on systems without huge pages: then they are small.
  madvise(memory, whole, MADV_HUGEPAGE);
  std::memset(memory, 0, size);
  return Tensor::view(DType::kUint8, {bytes}, memory, std::shared_ptr<void>(memory, std::free));
}

Tensor huge_copy(const Tensor& bytes) {
  Tensor copy = huge_bytes(bytes.bytes());
  std::memcpy(copy.raw(), bytes.raw(), static_cast<size_t>(bytes.bytes()));
  return copy;
}

}  // namespace fewbit
