#include "io/byte_source.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace fewbit {
namespace {

/// Bytes from which copied pages are handed back to the system.
constexpr size_t kReleaseBytes = size_t{1} << 20;

// The pages that lie in `bytes` as a whole.
void release_pages(std::span<const std::byte> bytes) {
  static const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t past = reinterpret_cast<uintptr_t>(bytes.data()) % page;
  const size_t skipped = (page - past) % page;
  if (bytes.size() < skipped + page) return;
  const std::span<const std::byte> pages =
      bytes.subspan(skipped, (bytes.size() - skipped) / page * page);
  ::madvise(const_cast<std::byte*>(pages.data()), pages.size(), MADV_DONTNEED);
}

// A byte of a bool tensor is 0 or 1; C++ may assume so, thus anything else is made so.
bool has_odd_bool(DType type, std::span<const std::byte> bytes) {
  return type == DType::kBool &&
         std::any_of(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
}

}  // namespace

Tensor view_or_copy(DType type, Dims dims, std::span<const std::byte> bytes,
                    const ByteSource& source) {
  const auto alignment = static_cast<uintptr_t>(std::clamp(bits_of(type) / 8, 1, 8));
  const bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % alignment == 0;
  const bool odd_bool = has_odd_bool(type, bytes);
  if (source.owner != nullptr && aligned && !odd_bool) {
    auto* data = const_cast<std::byte*>(bytes.data());  // NOLINT: constants are never written
    return Tensor::view(type, std::move(dims), data, source.owner);
  }
  Tensor t = Tensor::uninitialized(type, std::move(dims));
  if (odd_bool) {
    std::transform(bytes.begin(), bytes.end(), t.raw(),
                   [](std::byte b) { return b == std::byte{0} ? b : std::byte{1}; });
  } else if (!bytes.empty()) {
    std::memcpy(t.raw(), bytes.data(), bytes.size());
  }
  if (source.mapped && bytes.size() >= kReleaseBytes) release_pages(bytes);
  return t;
}

}  // namespace fewbit
