// Any bytes as the stored parts of a small matrix, in any format of the table: decoding reads and
// writes within bounds and gives the same as a row at a time.
//
//   byte 0: the format's place in the table    1: its granularity    2: rows - 1    3: columns - 1
//   then the parts, one after another, repeated as often as they need

#include <cstring>

#include "formats/format.h"
#include "fuzz_target.h"

namespace {

using namespace fewbit;

// The row's own choices, so that every granularity is met.
Format chosen_format(const FormatRow& row, unsigned choice) {
  Format format = default_format(row);
  if (row.groups && choice % 4 == 1) format.group_elems = 16 * (1 + choice / 4 % 16);
  if (row.channel && choice % 4 == 2) format.group_elems = Format::kPerChannel;
  if (row.tensor && choice % 4 == 3) format.group_elems = Format::kPerTensor;
  const Result<Format> parsed = parse_format(format.name());
  return parsed.ok() ? *parsed : default_format(row);
}

}  // namespace

FEWBIT_FUZZ_TARGET(bytes) {
  if (bytes.size() < 5) return;
  const auto at = [&](size_t i) { return static_cast<unsigned>(bytes[i]); };
  const auto table = format_table();
  const Format format = chosen_format(*table[at(0) % table.size()], at(1));
  const int64_t rows = 1 + at(2) % 8;
  const int64_t cols = 1 + at(3) * 3;
  PackedMatrix matrix = make_packed(format, rows, cols);
  size_t next = 4;
  for (Tensor& part : matrix.parts) {
    for (int64_t i = 0; i < part.bytes(); ++i) {
      part.raw()[i] = bytes[next];
      if (++next == bytes.size()) next = 4;
    }
  }
  FEWBIT_CHECK(check_parts(matrix).ok(), format.name());
  const std::vector<float> whole = decode(matrix);
  // Exactly as long as one row, so that a sanitizer sees a write past its end.
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<float> one(static_cast<size_t>(cols));
    decode_rows(matrix, row, row + 1, one);
    FEWBIT_CHECK(
        std::memcmp(one.data(), whole.data() + row * cols, one.size() * sizeof(float)) == 0,
        format.name(), row);
  }
}
