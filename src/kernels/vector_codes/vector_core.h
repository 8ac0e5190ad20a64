#pragma once
// Between the packing (vector_codes.cpp) and the inner loops (rows_*.cpp): internal.

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/isa.h"
#include "kernels/panel_product.h"

namespace fewbit::vector_codes {

inline constexpr int64_t kPanelRows = PanelProduct::kPanelRows;
inline constexpr int64_t kLineBytes = 64;
inline constexpr int64_t kUnitVectors = 4;  ///< codes in a lane
inline constexpr int64_t kSmallUnits = 4;   ///< in a chunk of codes of 6 bits
inline constexpr int64_t kSmallLines = 3;   ///< of such a chunk

/// How a packed matrix is laid out.
struct Layout {
  int64_t dim = 0;
  int64_t books = 0;
  bool small = false;  ///< codes of 6 bits, else 8
  int64_t group_elems = 0;
  int64_t groups = 0;  ///< of a row; all are alike, the last one is filled up
  int64_t chunks = 0;  ///< of a group, for each book
  int64_t panel_bytes = 0;

  int64_t entries() const { return small ? 64 : 256; }
  int64_t units() const { return small ? kSmallUnits : 1; }  ///< of a chunk
  int64_t unit_elems() const { return kUnitVectors * dim; }
  int64_t chunk_elems() const { return units() * unit_elems(); }
  int64_t chunk_bytes() const { return (small ? kSmallLines : 1) * kLineBytes; }
  int64_t group_bytes() const { return chunks * books * chunk_bytes() + kPanelRows * 4; }
  int64_t padded_group() const { return chunks * chunk_elems(); }
};

/// Quantized activations of a few rows: groups filled up with zeros, in the order that the row asks
/// for.
struct Activations {
  const int8_t* q = nullptr;       ///< rows q_stride apart
  int64_t q_stride = 0;            ///< groups * padded_group
  const int32_t* start = nullptr;  ///< [rows, groups]: -Row::bias * books * sum of q in the group
  const float* scale = nullptr;    ///< [rows]
};

/// A run of panels for up to PanelProduct::kMaxRows rows of activations.
struct PanelJob {
  const Layout* layout = nullptr;
  const uint8_t* tables = nullptr;  ///< in the order of the row
  const uint8_t* panels = nullptr;  ///< the first; the others follow panel_bytes apart
  int64_t panel_count = 0;
  Activations x;
  int rows = 0;
  int64_t prefetch_bytes = 0;  ///< how far ahead lines are asked for
  float* y = nullptr;          ///< [rows, 16 * panel_count], rows y_stride apart
  int64_t y_stride = 0;
};

/// In which order a row wants the activations of a unit, and its tables.
enum class Order {
  kByWeight,  ///< weight d of all four vectors, then weight d + 1; tables [books][dim][entries]
  kByVector,  ///< as they come; tables [books][entries][dim]
};

struct Row {
  Isa isa;
  std::string_view label;
  bool needs_vbmi;
  Order order;
  int bias;  ///< of table entries: 128 where they are unsigned
  void (*run)(const PanelJob& job);
};

/// One per instruction set.
std::span<const Row* const> all_rows();

extern const Row kScalarRow;
#if defined(__x86_64__)
extern const Row kAvx2Row;
extern const Row kAvx512VbmiRow;
#endif

}  // namespace fewbit::vector_codes
