// fewbit formats: the table of storage formats.

#include <memory>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "formats/affine.h"
#include "formats/format.h"
#include "formats/weight_sources.h"
#include "kernels/few_bit/few_bit.h"
#include "kernels/pattern_codes/pattern_codes.h"
#include "kernels/vector_codes/vector_codes.h"
#include "numerics/error_stats.h"
#include "report/table.h"

namespace fewbit::cli {
namespace {

struct Options {
  std::vector<std::string> names;
  bool json = false;
};

// The matrix that bits per weight are stated for, and the smaller one that errors are measured on.
constexpr int64_t kRows = 4096, kCols = 4096;
constexpr int64_t kSampleRows = 64, kSampleCols = 2048;

Result<double> sqnr_db(const Format& format, const std::vector<float>& values) {
  FEWBIT_ASSIGN(const PackedMatrix packed, encode(format, {values, kSampleRows, kSampleCols, {}}));
  ErrorStats errors;
  errors.add(values, decode(packed));
  return errors.sqnr_db();
}

std::vector<std::string> files_of(const FormatRow& row) {
  std::vector<std::string> files = {"fewbit"};
  if ((row.files & kOnnxFile) != 0) files.emplace_back("onnx");
  if ((row.files & kGgufFile) != 0) files.emplace_back("gguf");
  if ((row.files & kCompressedTensorsFile) != 0) files.emplace_back("compressed-tensors");
  return files;
}

// What multiplies such weights on this processor. Codes are read where activations are int8
// (schemes with +a8:token); otherwise, and without a kernel, weights are decoded when a model
// loads.
std::string runs_as(const Format& format) {
  if (prefers_pattern_codes(format, kCols, 1)) {
    const Result<Isa> isa = pattern_codes_isa();
    if (isa.ok()) return fmt::format("pattern_codes/{} x int8, float32", name_of(*isa));
  }
  if (has_vector_codes(format, kCols)) {
    const Result<Isa> isa = vector_codes_isa();
    if (isa.ok()) return fmt::format("vector_codes/{} x int8, float32", name_of(*isa));
  }
  if (!affine_form(format, kCols) && !has_pattern_codes(format, kCols)) return "float32, decoded";
  const Result<Isa> isa = few_bit_isa();
  return isa.ok() ? fmt::format("few_bit/{} x int8, float32", name_of(*isa)) : "float32, decoded";
}

std::string choices_of(const FormatRow& row) {
  std::vector<std::string> parts;
  if (row.groups) parts.emplace_back("/gN");
  if (row.channel) parts.emplace_back("/channel");
  if (row.tensor) parts.emplace_back("/tensor");
  for (int s = 0; s <= static_cast<int>(ScaleType::kU8); ++s) {
    if ((row.scales >> s & 1U) == 0) continue;
    parts.push_back(fmt::format(":{}", name_of(static_cast<ScaleType>(s))));
  }
  return join(parts, " ");
}

struct Line {
  Format format;
  double bits = 0, gaussian_db = 0, heavy_db = 0;
};

Result<std::vector<Line>> measured(const std::vector<Format>& formats) {
  const std::vector<float> normal = normal_values(kSampleRows * kSampleCols, 1);
  const std::vector<float> heavy = student_values(kSampleRows * kSampleCols, 2);
  std::vector<Line> lines;
  for (const Format& format : formats) {
    Line line{format, bits_per_weight(format, kRows, kCols)};
    FEWBIT_ASSIGN(line.gaussian_db, sqnr_db(format, normal));
    FEWBIT_ASSIGN(line.heavy_db, sqnr_db(format, heavy));
    lines.push_back(line);
  }
  return lines;
}

Json json_of(const Line& line) {
  const FormatRow& row = *line.format.row;
  Json parts = Json::array();
  for (const PartSpec& part : parts_of(line.format, kRows, kCols)) {
    Json dims = Json::array();
    for (int64_t d : part.dims) dims.push_back(d);
    parts.push_back({{"name", std::string(part.name)},
                     {"type", std::string(name_of(part.type))},
                     {"dims", dims}});
  }
  return {{"name", line.format.name()},
          {"id", static_cast<int64_t>(row.id)},
          {"summary", std::string(row.summary)},
          {"source", std::string(row.source)},
          {"choices", choices_of(row)},
          {"bits_per_weight", line.bits},
          {"gaussian_sqnr_db", line.gaussian_db},
          {"heavy_tailed_sqnr_db", line.heavy_db},
          {"runs_as", runs_as(line.format)},
          {"files", files_of(row)},
          {"parts_4096x4096", parts}};
}

std::string details_of(const Line& line) {
  const FormatRow& row = *line.format.row;
  std::string text = fmt::format("{} (id {}): {}\n  source   {}\n", line.format.name(), row.id,
                                 row.summary, row.source);
  const std::string choices = choices_of(row);
  text += fmt::format("  choices  {}\n", choices.empty() ? "none" : choices);
  text += fmt::format("  size     {:.3f} bits per weight of a [{}, {}] matrix\n", line.bits, kRows,
                      kCols);
  text += fmt::format("  error    {:.2f} dB on Gaussian weights, {:.2f} dB on heavy-tailed ones\n",
                      line.gaussian_db, line.heavy_db);
  text += fmt::format("  runs as  {}\n  files    {}\n  parts\n", runs_as(line.format),
                      join(files_of(row), ", "));
  for (const PartSpec& part : parts_of(line.format, kRows, kCols)) {
    text += fmt::format("    {:<14} {}{}\n", part.name, name_of(part.type), to_string(part.dims));
  }
  return text;
}

Status formats(const Options& o) {
  std::vector<Format> list;
  for (const std::string& name : o.names) {
    FEWBIT_ASSIGN(Format format, parse_format(name));
    list.push_back(format);
  }
  if (o.names.empty()) {
    for (const FormatRow* row : format_table()) list.push_back(default_format(*row));
  }
  FEWBIT_ASSIGN(const std::vector<Line> lines, measured(list));
  if (o.json) {
    Json all = Json::array();
    for (const Line& line : lines) all.push_back(json_of(line));
    return print_json({{"formats", all}});
  }
  std::string text;
  if (!o.names.empty()) {
    for (const Line& line : lines) text += details_of(line);
    return print_text(text);
  }
  Table table({"format", "what it is", ">bits", ">Gaussian dB", ">t(4) dB", "runs as", "files"});
  for (const Line& line : lines) {
    table.row({line.format.name(), std::string(line.format.row->summary),
               fmt::format("{:.3f}", line.bits), fmt::format("{:.2f}", line.gaussian_db),
               fmt::format("{:.2f}", line.heavy_db), runs_as(line.format),
               join(files_of(*line.format.row), " ")});
  }
  text = table.print(terminal_columns());
  text += fmt::format(
      "\nbits: per weight of a [{}, {}] matrix, scales and all; dB: signal to error, scales "
      "searched,\n"
      "on [{}, {}] weights, Gaussian and Student-t with 4 degrees of freedom. Groups and scales "
      "of\n"
      "another kind: `fewbit formats int4/g32:u6` shows a format's choices and storage.\n",
      kRows, kCols, kSampleRows, kSampleCols);
  return print_text(text);
}

}  // namespace

Run add_formats(Arguments& arguments) {
  auto o = std::make_shared<Options>();
  arguments.option("formats", o->names, "Formats to describe; all of them, as a table, if none");
  arguments.flag("--json", o->json, "Print one JSON object");
  return [o] { return formats(*o); };
}

}  // namespace fewbit::cli
