#include "kernels/few_bit/panels.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/huge_buffer.h"
#include "kernels/few_bit/code_map.h"
#include "numerics/half.h"

namespace fewbit::few_bit {
namespace {

// Sixteen rows, unpacked: codes [16][width], scales and offsets [16][groups].
struct PanelSource {
  std::vector<uint8_t> codes;
  std::vector<float> scales, offsets;
};

constexpr float kLargestByte = 127;

int64_t round_up(int64_t x, int64_t multiple) {
  return (x + multiple - 1) / multiple * multiple;
}

class Packer {
 public:
  Packer(const PackedMatrix& matrix, const CodeMap& map)
      : matrix_(matrix),
        map_(map),
        source_groups_((matrix.cols + map.group_elems - 1) / map.group_elems) {}

  Panels run() {
    panels_.n = matrix_.rows;
    panels_.k = matrix_.cols;
    set_layout();
    panels_.row_unit.assign(static_cast<size_t>(panels_.count() * kPanelRows), 1.0F);
    panels_.layout.half_scales = find_units();
    if (!panels_.layout.half_scales) std::ranges::fill(panels_.row_unit, 1.0F);
    Layout& layout = panels_.layout;
    const int64_t steps = layout.chunks_per_group == 0 ? (layout.groups + 1) / 2 : layout.groups;
    layout.panel_bytes = steps * layout.step_bytes();
    panels_.bytes = huge_bytes(panels_.count() * layout.panel_bytes);
    panels_.block_scale.resize(
        static_cast<size_t>(panels_.count() * panels_.blocks() * kPanelRows));
#pragma omp parallel for schedule(dynamic)
    for (int64_t p = 0; p < panels_.count(); ++p) {
      const PanelSource source = unpack(p);
      write(source, panels_.bytes.data<uint8_t>() + p * layout.panel_bytes);
      set_block_scales(source, panels_.block_scale.data() + p * panels_.blocks() * kPanelRows);
    }
    return std::move(panels_);
  }

 private:
  void set_layout() {
    Layout& layout = panels_.layout;
    layout.bits = map_.bits;
    layout.zero = map_.zero;
    layout.offsets = map_.offsets;
    layout.table = map_.table;
    layout.byte_levels = map_.byte_levels;
    layout.float_levels = map_.float_levels;
    // Groups of an odd multiple of 16 are taken as groups of 16 that repeat their scale.
    const bool whole_chunks = map_.group_elems % kChunk == 0 || map_.group_elems >= matrix_.cols;
    // Longer groups are taken in parts, so that 255 * 127 * elements stays within int32.
    constexpr int64_t kLongestGroup = 32768;
    layout.group_elems =
        whole_chunks ? std::min(round_up(map_.group_elems, kChunk), kLongestGroup) : 16;
    // The last group of a row may have fewer chunks: it is filled up, so that all are alike.
    layout.chunks_per_group =
        whole_chunks ? std::min(layout.group_elems, round_up(matrix_.cols, kChunk)) / kChunk : 0;
    layout.groups = (matrix_.cols + layout.group_elems - 1) / layout.group_elems;
  }

  // The unit of each row under which its scales are float16 values; false if there is none.
  bool find_units() {
    std::atomic<bool> halves = true;
#pragma omp parallel
    {
      std::vector<uint8_t> codes(static_cast<size_t>(matrix_.cols));
      std::vector<float> scales(static_cast<size_t>(source_groups_)), offsets(scales.size());
#pragma omp for schedule(static)
      for (int64_t row = 0; row < matrix_.rows; ++row) {
        if (!halves.load(std::memory_order_relaxed)) continue;
        code_row(matrix_, row, codes.data(), scales.data(), offsets.data());
        const float unit = unit_of(row, scales);
        panels_.row_unit[static_cast<size_t>(row)] = unit * map_.scale;
        for (const float scale : scales) {
          const float half = Half::from_float(scale / unit).to_float();
          // As near as the multiplication by the unit had rounded it.
          if (!(std::fabs(half * unit - scale) <= std::fabs(scale) * 0x1p-23F)) halves = false;
        }
      }
    }
    return halves;
  }

  float unit_of(int64_t row, const std::vector<float>& scales) const {
    // Powers of two reach further than float16 does, but not within a row.
    const float unit = matrix_.format.scale == ScaleType::kE8M0
                           ? *std::max_element(scales.begin(), scales.end())
                           : code_row_unit(matrix_, row);
    return unit > 0 && std::isfinite(unit) ? unit : 1.0F;
  }

  PanelSource unpack(int64_t panel) const {
    const Layout& l = panels_.layout;
    PanelSource s;
    const int64_t width = l.width();
    s.codes.assign(static_cast<size_t>(kPanelRows * width), 0);
    s.scales.assign(static_cast<size_t>(kPanelRows * l.groups), 0);
    s.offsets = s.scales;
    std::vector<float> scales(static_cast<size_t>(source_groups_)), offsets(scales.size());
    for (int64_t r = 0; r < std::min(kPanelRows, matrix_.rows - panel * kPanelRows); ++r) {
      const int64_t row = panel * kPanelRows + r;
      uint8_t* codes = s.codes.data() + r * width;
      code_row(matrix_, row, codes, scales.data(), offsets.data());
      for (int64_t k = 0; k < matrix_.cols; ++k) codes[k] = map_.recode[codes[k]];
      const float unit = panels_.row_unit[static_cast<size_t>(row)];
      for (int64_t g = 0; g < l.groups; ++g) {
        const auto from =
            static_cast<size_t>(std::min(g * l.group_elems / map_.group_elems, source_groups_ - 1));
        s.scales[static_cast<size_t>(r * l.groups + g)] = scales[from] * map_.scale / unit;
        // What kernels take off the codes is put back here.
        const float centre = scales[from] * static_cast<float>(map_.offsets ? map_.zero : 0);
        s.offsets[static_cast<size_t>(r * l.groups + g)] = (offsets[from] + centre) / unit;
      }
    }
    return s;
  }

  int highest_level() const {
    const Layout& l = panels_.layout;
    return l.table ? *std::max_element(l.byte_levels.begin(), l.byte_levels.end())
                   : (1 << l.bits) - 1;
  }

  // Such that the largest magnitude that a code can name in a block is 127.
  void set_block_scales(const PanelSource& s, float* out) const {
    const Layout& l = panels_.layout;
    const auto highest = static_cast<float>(highest_level());
    for (int64_t begin = 0; begin < panels_.k; begin += kBlockDepth) {
      const int64_t end = std::min(begin + kBlockDepth, panels_.k);
      const int64_t last = (end - 1) / l.group_elems;
      for (int64_t r = 0; r < kPanelRows; ++r) {
        float most = 0;
        for (int64_t g = begin / l.group_elems; g <= last; ++g) {
          const float scale = s.scales[static_cast<size_t>(r * l.groups + g)];
          const float offset = l.offsets ? s.offsets[static_cast<size_t>(r * l.groups + g)]
                                         : -scale * static_cast<float>(l.zero);
          const float size = std::max(std::fabs(offset), std::fabs(scale * highest + offset));
          // What is not finite stays so.
          most = std::isfinite(size) ? std::max(most, size) : size - size;
          if (l.expands_exactly()) most = scale * kLargestByte;
        }
        *out++ = most / kLargestByte;
      }
    }
  }

  void write(const PanelSource& s, uint8_t* out) const {
    const Layout& l = panels_.layout;
    int64_t k = 0;
    for (int64_t g = 0; g < l.groups;) {
      const int64_t chunks = std::max<int64_t>(l.chunks_per_group, 1);
      for (int64_t c = 0; c < chunks; ++c, k += kChunk) {
        write_chunk(s.codes.data() + k, l.width(), out);
        out += l.chunk_bytes();
      }
      const int64_t vectors = l.chunks_per_group == 0 ? 2 : 1;
      for (int64_t v = 0; v < vectors; ++v, ++g) out = write_scales(s, g, out);
    }
  }

  // 16 rows of 32 codes, `stride` apart.
  void write_chunk(const uint8_t* codes, int64_t stride, uint8_t* out) const {
    int shift = 0;
    for (const int width : {8, 4, 2, 1}) {
      if (panels_.layout.bits - shift < width) continue;
      const int per_line = 8 / width;  // lines of 4 k that share the plane's line
      const int mask = (1 << width) - 1;
      for (int64_t r = 0; r < kPanelRows; ++r) {
        const uint8_t* row = codes + r * stride;
        for (int64_t line = 0; line < kChunk / 4; ++line) {
          uint8_t* four = out + line / per_line * 64 + 4 * r;
          const int at = static_cast<int>(line) % per_line * width;
          for (int i = 0; i < 4; ++i) {
            four[i] = static_cast<uint8_t>(four[i] | (row[line * 4 + i] >> shift & mask) << at);
          }
        }
      }
      out += kPanelRows * kChunk * width / 8;
      shift += width;
    }
  }

  uint8_t* write_scales(const PanelSource& s, int64_t g, uint8_t* out) const {
    const Layout& l = panels_.layout;
    for (int64_t r = 0; r < kPanelRows && g < l.groups; ++r) {
      const auto at = static_cast<size_t>(r * l.groups + g);
      const Half half = Half::from_float(s.scales[at]);
      if (l.half_scales) std::memcpy(out + 2 * r, &half, 2);
      if (!l.half_scales) std::memcpy(out + 4 * r, &s.scales[at], 4);
      if (l.offsets) std::memcpy(out + l.scale_bytes() + 4 * r, &s.offsets[at], 4);
    }
    return out + l.vector_bytes();
  }

  const PackedMatrix& matrix_;
  const CodeMap& map_;
  const int64_t source_groups_;
  Panels panels_;
};

}  // namespace

Panels pack_panels(const PackedMatrix& matrix, FewBitActivations activations) {
  const std::optional<CodeMap> map = code_map(matrix.format, matrix.cols, activations);
  FEWBIT_CHECK(map.has_value(), matrix.format.name());
  return Packer(matrix, *map).run();
}

}  // namespace fewbit::few_bit
