// Floats of 8, 6, 5 and 4 bits under a scale, and the microscaling formats (MX) that fix group and
// scale.
//
//   fp8e4m3  s eeee mmm   bias  7, largest 448      fp8e5m2  s eeeee mm   bias 15, largest 57344
//   fp6e2m3  s ee mmm     bias  1, largest 7.5      fp6e3m2  s eee mm     bias  3, largest 28
//   fp5e2m2  s ee mm      bias  1, largest 7
//   fp4e2m1  s ee m       bias  1: 0 0.5 1 1.5 2 3 4 6
//
//   w = scale * value(code), subnormals included, nearest, ties to the even code, past the largest
//   the largest; no code for infinity or NaN is ever written. |w - w'| <= 2^-(m+1) |w| in the
//   normal range where nothing is clipped (m mantissa bits).
//
//   mxfp8 (e4m3), mxfp8e5m2, mxfp6 (e2m3), mxfp6e3m2, mxfp4: groups of 32, e8m0 scales
//   mxint8: w = scale * 2^-6 * (code - 128), groups of 32, e8m0 scales
//   nvfp4:  fp4e2m1 in groups of 16, e4m3 scales, one float32 for the matrix
//
// Sources: P. Micikevicius et al., FP8 Formats for Deep Learning, 2022; OCP Microscaling Formats
// (MX) Specification 1.0, 2023; NVIDIA, Pretraining Large Language Models with NVFP4, 2025; J. Cook
// et al., Four Over Six: More Accurate NVFP4 Quantization with Adaptive Block Scaling, 2025. Where
// the scale is searched it may differ from the specification's 2^(floor(log2 max) - e), which
// clips.

#include <array>

#include "formats/format_table.h"
#include "formats/leveled.h"

namespace fewbit::formats {
namespace {

constexpr LevelGrid with_unit(LevelGrid grid, float unit) {
  grid.unit = unit;
  return grid;
}

constexpr Leveled kE4M3 = {float_grid(4, 3, 7, 448)};
constexpr Leveled kE5M2 = {float_grid(5, 2, 15, 57344)};
constexpr Leveled kE2M3 = {float_grid(2, 3, 1, 7.5F)};
constexpr Leveled kE3M2 = {float_grid(3, 2, 3, 28)};
constexpr Leveled kE2M2 = {float_grid(2, 2, 1, 7)};
constexpr Leveled kE2M1 = {float_grid(2, 1, 1, 6)};
constexpr Leveled kMxInt8 = {with_unit(integer_grid(8), 0x1p-6F)};

constexpr std::string_view kFp8Source = "P. Micikevicius et al., 2022 (arXiv:2209.05433)";
constexpr std::string_view kMxSource = "OCP Microscaling Formats (MX) Specification 1.0";
constexpr uint8_t kMxFiles = kCompressedTensorsFile;

constexpr FormatRow scaled(uint16_t id, std::string_view name, std::string_view summary,
                           std::string_view source, const Leveled* leveled) {
  FormatRow r = leveled_row(id, name, leveled);
  r.summary = summary;
  r.source = source;
  if (leveled->grid.bits == 8) {
    r.default_group = Format::kPerChannel;
    r.default_scale = ScaleType::kFloat32;
    r.files = kOnnxFile | kCompressedTensorsFile;
  }
  return r;
}

constexpr FormatRow fixed(FormatRow r, int64_t group, ScaleType scale, uint8_t files) {
  r.groups = r.channel = r.tensor = false;
  r.default_group = group;
  r.scales = 0;
  r.default_scale = scale;
  r.files = files;
  return r;
}

constexpr FormatRow mx(uint16_t id, std::string_view name, std::string_view summary,
                       const Leveled* leveled, uint8_t files = kMxFiles) {
  return fixed(scaled(id, name, summary, kMxSource, leveled), 32, ScaleType::kE8M0, files);
}

constexpr std::array<FormatRow, 13> kRows = {
    scaled(30, "fp8e4m3", "8-bit floats, 4 bits of exponent", kFp8Source, &kE4M3),
    scaled(31, "fp8e5m2", "8-bit floats, 5 bits of exponent", kFp8Source, &kE5M2),
    scaled(32, "fp6e2m3", "6-bit floats, 2 bits of exponent", kMxSource, &kE2M3),
    scaled(33, "fp6e3m2", "6-bit floats, 3 bits of exponent", kMxSource, &kE3M2),
    scaled(42, "fp5e2m2", "5-bit floats, 2 bits of exponent",
           "H. Xia et al., 2024 (arXiv:2401.14112), FP5", &kE2M2),
    scaled(34, "fp4e2m1", "4-bit floats, 2 bits of exponent", kMxSource, &kE2M1),
    mx(35, "mxfp8", "fp8e4m3 in groups of 32 under powers of two", &kE4M3, kMxFiles | kOnnxFile),
    mx(36, "mxfp8e5m2", "fp8e5m2 in groups of 32 under powers of two", &kE5M2,
       kMxFiles | kOnnxFile),
    mx(37, "mxfp6", "fp6e2m3 in groups of 32 under powers of two", &kE2M3),
    mx(38, "mxfp6e3m2", "fp6e3m2 in groups of 32 under powers of two", &kE3M2),
    mx(39, "mxfp4", "fp4e2m1 in groups of 32 under powers of two", &kE2M1, kMxFiles | kGgufFile),
    mx(40, "mxint8", "8-bit integers in groups of 32 under powers of two", &kMxInt8,
       kMxFiles | kOnnxFile),
    fixed(scaled(41, "nvfp4", "fp4e2m1 in groups of 16 under fp8 scales and one float32",
                 "NVIDIA, 2025 (arXiv:2509.25149)", &kE2M1),
          16, ScaleType::kE4M3, kCompressedTensorsFile | kGgufFile),
};

}  // namespace

std::span<const FormatRow> float_rows() {
  return kRows;
}

}  // namespace fewbit::formats
