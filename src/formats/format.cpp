#include "formats/format.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>

#include "base/check.h"
#include "base/text.h"
#include "formats/level_kernels.h"

namespace fewbit {
namespace {

// Rows at a time that one thread takes: enough work to hide the scheduling.
int64_t rows_per_task(int64_t rows, int64_t cols) {
  constexpr int64_t kElements = 1 << 16;
  const int64_t wanted = std::max<int64_t>(kElements / std::max<int64_t>(cols, 1), 1);
  const int64_t together = (wanted + kRowsTogether - 1) / kRowsTogether * kRowsTogether;
  return std::min(together, (rows + kRowsTogether - 1) / kRowsTogether * kRowsTogether);
}

std::string choices(const FormatRow& row) {
  std::vector<std::string> parts;
  if (row.groups) parts.emplace_back("/g16 to /g256 (multiples of 16)");
  if (row.channel) parts.emplace_back("/channel");
  if (row.tensor) parts.emplace_back("/tensor");
  std::vector<std::string> scales;
  for (int s = 0; s <= static_cast<int>(ScaleType::kU8); ++s) {
    const auto type = static_cast<ScaleType>(s);
    if ((row.scales & scale_bit(type)) != 0) scales.push_back(fmt::format(":{}", name_of(type)));
  }
  return fmt::format("{}{}{}{}", parts.empty() ? "it has no choices" : "it takes ",
                     join(parts, ", "), scales.empty() ? "" : " and the scales ",
                     join(scales, ", "));
}

std::optional<int64_t> granularity_of(const FormatRow& row, std::string_view text) {
  if (text == "channel" && row.channel) return Format::kPerChannel;
  if (text == "tensor" && row.tensor) return Format::kPerTensor;
  if (text.size() < 2 || text[0] != 'g' || !row.groups) return std::nullopt;
  const std::optional<int64_t> n = parse_int64(text.substr(1));
  if (!n || *n < 16 || *n > 256 || *n % 16 != 0) return std::nullopt;
  return n;
}

// "f16", "u6", "u6s256"
bool set_scale(Format& format, std::string_view text) {
  constexpr std::string_view kSuper = "s256";
  int64_t super = Format::kPerChannel;
  if (text.size() > kSuper.size() && text.substr(text.size() - kSuper.size()) == kSuper) {
    text.remove_suffix(kSuper.size());
    super = 256;
  }
  const std::optional<ScaleType> type = scale_type_from_name(text);
  if (!type || (format.row->scales & scale_bit(*type)) == 0) return false;
  if (super != Format::kPerChannel && !is_integer_scale(*type)) return false;
  format.scale = *type;
  format.super_elems = super;
  return true;
}

Status check_rows(const EncodeInput& in, int64_t row_begin, int64_t row_end) {
  const auto from = static_cast<size_t>(row_begin * in.cols);
  const auto values = in.values.subspan(from, static_cast<size_t>((row_end - row_begin) * in.cols));
  if (formats::level_kernels().all_finite(values.data(), static_cast<int64_t>(values.size())))
      [[likely]]
    return {};
  const auto wrong =
      std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  const int64_t at = static_cast<int64_t>(wrong - values.begin()) + row_begin * in.cols;
  return bad_input("the weight in row {}, column {} is {}: only finite weights have codes",
                   at / in.cols, at % in.cols, *wrong);
}

Status check_importance(const EncodeInput& in) {
  for (size_t i = 0; i < in.importance.size(); ++i) {
    if (in.importance[i] >= 0 && std::isfinite(in.importance[i])) [[likely]]
      continue;
    return bad_input("importance {} is {}: expected finite values from 0 up", i, in.importance[i]);
  }
  return {};
}

// Calls work(row_begin, row_end) for all rows, from all threads. Of several errors the one of the
// first rows is given, whatever the timing.
template <typename Work>
Status for_rows(int64_t rows, int64_t cols, const Work& work) {
  std::mutex mutex;
  std::optional<Error> failure;
  int64_t failed_row = rows;
  const int64_t step = rows_per_task(rows, cols);
#pragma omp parallel for schedule(dynamic)
  for (int64_t begin = 0; begin < rows; begin += step) {
    Status status = work(begin, std::min(begin + step, rows));
    if (status.ok()) continue;
    const std::lock_guard<std::mutex> lock(mutex);
    if (begin < failed_row) {
      failed_row = begin;
      failure = std::move(status).error();
    }
  }
  if (failure) return std::move(*failure);
  return {};
}

}  // namespace

std::string Format::name() const {
  if (row == nullptr) return "float32";
  const Format standard = default_format(*row);
  std::string text(row->name);
  if (group_elems != standard.group_elems) {
    text += group_elems == kPerChannel  ? "/channel"
            : group_elems == kPerTensor ? "/tensor"
                                        : fmt::format("/g{}", group_elems);
  }
  if (scale != standard.scale || super_elems != standard.super_elems) {
    text += fmt::format(":{}{}", name_of(scale), super_elems == kPerChannel ? "" : "s256");
  }
  return text;
}

Format default_format(const FormatRow& row) {
  return {&row, row.default_group, row.default_scale, Format::kPerChannel};
}

const FormatRow* find_format(std::string_view element) {
  for (const FormatRow* row : format_table()) {
    if (row->name == element) return row;
  }
  return nullptr;
}

const FormatRow* find_format(uint16_t id) {
  for (const FormatRow* row : format_table()) {
    if (row->id == id) return row;
  }
  return nullptr;
}

Result<Format> parse_format(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view scale = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  const std::string_view head = text.substr(0, colon);
  const size_t slash = head.find('/');
  const std::string_view element = head.substr(0, slash);
  const FormatRow* row = find_format(element);
  if (row == nullptr) {
    std::vector<std::string_view> names;
    for (const FormatRow* r : format_table()) names.push_back(r->name);
    return misuse("unknown format '{}'{}; `fewbit formats` lists them", element,
                  did_you_mean(names, element));
  }
  Format format = default_format(*row);
  if (slash != std::string_view::npos) {
    const std::optional<int64_t> group = granularity_of(*row, head.substr(slash + 1));
    if (!group) {
      return misuse("format '{}': {} does not have the granularity '{}'; {}", text, element,
                    head.substr(slash), choices(*row));
    }
    format.group_elems = *group;
  }
  if (colon != std::string_view::npos && !set_scale(format, scale)) {
    return misuse("format '{}': {} does not have the scale '{}'; {}", text, element, scale,
                  choices(*row));
  }
  if (is_integer_scale(format.scale) && format.group_elems <= 0) {
    return misuse("format '{}': integers as scales need groups, such as /g32", text);
  }
  if (format.super_elems != Format::kPerChannel && format.super_elems % format.group_elems != 0) {
    return misuse("format '{}': groups of {} do not divide a super-block of {}", text,
                  format.group_elems, format.super_elems);
  }
  return format;
}

int64_t groups_per_row(const Format& format, int64_t cols) {
  if (format.group_elems <= 0) return 1;
  return (cols + format.group_elems - 1) / format.group_elems;
}

std::vector<PartSpec> parts_of(const Format& format, int64_t rows, int64_t cols) {
  std::vector<PartSpec> parts;
  format.row->parts(format, rows, cols, parts);
  return parts;
}

int64_t stored_bytes(const Format& format, int64_t rows, int64_t cols) {
  int64_t bytes = 0;
  for (const PartSpec& part : parts_of(format, rows, cols)) {
    bytes += bytes_of(part.type, elements_of(part.dims));
  }
  return bytes;
}

double bits_per_weight(const Format& format, int64_t rows, int64_t cols) {
  return 8.0 * static_cast<double>(stored_bytes(format, rows, cols)) /
         (static_cast<double>(rows) * static_cast<double>(cols));
}

const Tensor& PackedMatrix::part(std::string_view name) const {
  const std::vector<PartSpec> specs = parts_of(format, rows, cols);
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name == name) return parts[i];
  }
  FEWBIT_CHECK(false, name, format.name());
  return parts.front();
}

Tensor& PackedMatrix::part(std::string_view name) {
  return const_cast<Tensor&>(std::as_const(*this).part(name));
}

PackedMatrix make_packed(const Format& format, int64_t rows, int64_t cols) {
  PackedMatrix out{format, rows, cols, {}};
  for (PartSpec& spec : parts_of(format, rows, cols)) {
    out.parts.push_back(Tensor::zeros(spec.type, std::move(spec.dims)));
  }
  return out;
}

Result<PackedMatrix> encode(const Format& format, const EncodeInput& in,
                            const EncodeOptions& options) {
  FEWBIT_CHECK(in.rows > 0 && in.cols > 0, in.rows, in.cols);
  const auto elements = static_cast<size_t>(in.rows * in.cols);
  FEWBIT_CHECK(in.values.size() == elements, in.values.size(), elements);
  FEWBIT_CHECK(in.importance.empty() || in.importance.size() == static_cast<size_t>(in.cols) ||
                   in.importance.size() == elements,
               in.importance.size(), in.rows, in.cols);
  FEWBIT_TRY(check_importance(in));
  const FormatRow& row = *format.row;
  // Rows are checked just before they are encoded, while they are in the cache; unless something
  // looks at all of them first.
  const bool prepares =
      row.prepare != nullptr && (row.needs_prepare == nullptr || row.needs_prepare(format));
  if (prepares) {
    FEWBIT_TRY(for_rows(in.rows, in.cols,
                        [&](int64_t begin, int64_t end) { return check_rows(in, begin, end); }));
  }
  PackedMatrix out = make_packed(format, in.rows, in.cols);
  if (prepares) FEWBIT_TRY(row.prepare(in, options, out));
  const auto encode_rows = [&](int64_t begin, int64_t end) -> Status {
    if (!prepares) FEWBIT_TRY(check_rows(in, begin, end));
    return row.encode(in, options, begin, end, out);
  };
  FEWBIT_TRY(for_rows(in.rows, in.cols, encode_rows));
  return out;
}

void decode_rows(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end,
                 std::span<float> out) {
  FEWBIT_CHECK(0 <= row_begin && row_begin <= row_end && row_end <= matrix.rows, row_begin, row_end,
               matrix.rows);
  FEWBIT_CHECK(out.size() == static_cast<size_t>((row_end - row_begin) * matrix.cols), out.size());
  if (row_begin < row_end) matrix.format.row->decode(matrix, row_begin, row_end, out.data());
}

void decode(const PackedMatrix& matrix, std::span<float> out) {
  const auto decode_some = [&](int64_t begin, int64_t end) -> Status {
    decode_rows(matrix, begin, end,
                out.subspan(static_cast<size_t>(begin * matrix.cols),
                            static_cast<size_t>((end - begin) * matrix.cols)));
    return {};
  };
  FEWBIT_CHECK(for_rows(matrix.rows, matrix.cols, decode_some).ok());
}

std::vector<float> decode(const PackedMatrix& matrix) {
  std::vector<float> out(static_cast<size_t>(matrix.rows * matrix.cols));
  decode(matrix, out);
  return out;
}

Status check_parts(const PackedMatrix& matrix) {
  const std::vector<PartSpec> specs = parts_of(matrix.format, matrix.rows, matrix.cols);
  if (matrix.parts.size() != specs.size()) {
    return bad_input("{} of [{}, {}] has {} arrays, found {}", matrix.format.name(), matrix.rows,
                     matrix.cols, specs.size(), matrix.parts.size());
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const Tensor& part = matrix.parts[i];
    if (part.type() == specs[i].type && part.dims() == specs[i].dims) continue;
    return bad_input("'{}' of {} [{}, {}]: expected {}{}, found {}{}", specs[i].name,
                     matrix.format.name(), matrix.rows, matrix.cols, fewbit::name_of(specs[i].type),
                     to_string(specs[i].dims), fewbit::name_of(part.type()),
                     to_string(part.dims()));
  }
  return {};
}

}  // namespace fewbit
