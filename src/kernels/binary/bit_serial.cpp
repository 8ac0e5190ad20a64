#include <algorithm>

#include "base/check.h"
#include "kernels/binary/binary.h"
#include "kernels/binary/bit_panels.h"

namespace fewbit {

struct BitSerialGemm::Impl {
  const binary::Row* row = nullptr;
  int64_t n = 0, k = 0;
  int32_t zero = 0;
  std::vector<binary::BitPanels> planes;  ///< of the weights, low bit first
};

namespace {

constexpr int kMostWeightBits = 2, kMostActivationBits = 4;

// Bit `bit` of `count` codes.
void pack_plane(const uint8_t* codes, int64_t count, int bit, uint64_t* out) {
  std::fill_n(out, bit_words(count), 0);
  for (int64_t i = 0; i < count; ++i) {
    out[i / 64] |= static_cast<uint64_t>(codes[i] >> bit & 1) << (i % 64);
  }
}

}  // namespace

Result<BitSerialGemm> BitSerialGemm::prepare(std::span<const uint8_t> codes, int64_t n, int64_t k,
                                             int bits, int32_t zero, std::optional<Isa> isa) {
  if (bits < 1 || bits > kMostWeightBits) {
    return unsupported("bit-serial product: weights of {} bits, expected 1 or 2", bits);
  }
  if (n < 1 || k < 1 || static_cast<int64_t>(codes.size()) != n * k) {
    return bad_input("bit-serial product: {} codes for a matrix [{}, {}]", codes.size(), n, k);
  }
  auto impl = std::make_shared<Impl>();
  FEWBIT_ASSIGN(impl->row, binary::find_row(isa));
  impl->n = n;
  impl->k = k;
  impl->zero = zero;
  impl->planes.resize(static_cast<size_t>(bits));
  std::vector<uint64_t> words(static_cast<size_t>(bit_words(k)));
  for (int bit = 0; bit < bits; ++bit) {
    binary::BitPanels& plane = impl->planes[static_cast<size_t>(bit)];
    plane.assign(n, bit_words(k));
    for (int64_t row = 0; row < n; ++row) {
      pack_plane(codes.data() + row * k, k, bit, words.data());
      for (int64_t i = 0; i < bit_words(k); ++i) plane.at(row, i) = words[static_cast<size_t>(i)];
    }
  }
  return BitSerialGemm(std::move(impl));
}

void BitSerialGemm::run(const uint8_t* a, int64_t m, int a_bits, int32_t* y, int threads) const {
  const Impl& impl = *impl_;
  FEWBIT_CHECK(a_bits >= 1 && a_bits <= kMostActivationBits, a_bits);
  constexpr int64_t kPart = 32;
  const int64_t parts = (m + kPart - 1) / kPart, words = bit_words(impl.k);
  const int64_t no_offset = 0;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int64_t part = 0; part < parts; ++part) {
    static thread_local std::vector<uint64_t> bits;
    bits.resize(static_cast<size_t>(kPart * words));
    const int64_t first = part * kPart;
    binary::BitRows rows;
    rows.first = bits.data();
    rows.stride = rows.run_words = words;
    rows.count = std::min(kPart, m - first);
    rows.run_offset = {&no_offset, 1};
    for (int64_t r = first; r < first + rows.count; ++r) {
      int32_t sum = 0;
      for (int64_t i = 0; i < impl.k; ++i) sum += a[r * impl.k + i];
      std::fill_n(y + r * impl.n, impl.n, -impl.zero * sum);
    }
    for (int j = 0; j < a_bits; ++j) {
      for (int64_t r = 0; r < rows.count; ++r) {
        pack_plane(a + (first + r) * impl.k, impl.k, j, bits.data() + r * words);
      }
      for (size_t i = 0; i < impl.planes.size(); ++i) {
        const int shift = j + static_cast<int>(i);
        binary::for_each_tile(impl.row->common, rows, impl.planes[i],
                              [&](int64_t row, int64_t n, const int32_t* counts, int64_t cols) {
                                int32_t* to = y + (first + row) * impl.n + n;
                                for (int64_t c = 0; c < cols; ++c) to[c] += counts[c] << shift;
                              });
      }
    }
  }
}

int64_t BitSerialGemm::packed_bytes() const {
  int64_t words = 0;
  for (const binary::BitPanels& p : impl_->planes) words += static_cast<int64_t>(p.data.size());
  return words * static_cast<int64_t>(sizeof(uint64_t));
}
Isa BitSerialGemm::isa() const {
  return impl_->row->isa;
}

}  // namespace fewbit
