#include "data/dataset_file.h"

#include <array>
#include <filesystem>
#include <limits>

#include "data/toml_reader.h"
#include "numerics/convert.h"

namespace fewbit {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
constexpr int64_t kMaxSide = 1 << 16;

/// A size: one number for a square, or [height, width].
std::optional<Size> read_size(TomlReader& reader, std::string_view key) {
  const auto sides = reader.integers(key, 1, kMaxSide);
  if (!sides) return std::nullopt;
  if (sides->size() > 2)
    reader.fail(key, fmt::format("'{}' must be one number or [height, width]", key));
  return Size{sides->front(), sides->back()};
}

void read_resize(TomlReader& reader, Preprocess& steps) {
  const auto sides = reader.integers("resize", 1, kMaxSide);
  if (sides && sides->size() == 1) {
    steps.resize_short = sides->front();
  } else if (sides && sides->size() == 2) {
    steps.resize = Size{sides->front(), sides->back()};
    if (sides->front() * sides->back() > kMaxImagePixels) {
      reader.fail("resize", fmt::format("'resize' gives more than {} pixels", kMaxImagePixels));
    }
  } else if (sides) {
    reader.fail("resize", "'resize' must be the short side, or [height, width]");
  }
  if (const auto fit = reader.choice("fit", {"stretch", "cover", "contain"})) {
    steps.fit = std::array{Fit::kStretch, Fit::kCover, Fit::kContain}[*fit];
    if (!steps.resize) reader.fail("fit", "'fit' needs resize = [height, width]");
  }
  if (const auto pad = reader.integer("pad", 0, 255)) {
    steps.pad = static_cast<uint8_t>(*pad);
    if (steps.fit != Fit::kContain) reader.fail("pad", "'pad' needs fit = \"contain\"");
  }
}

void read_values(TomlReader& reader, Preprocess& steps) {
  if (const auto scale = reader.number("scale")) {
    steps.scale = static_cast<float>(*scale);
    if (steps.scale == 0) reader.fail("scale", "'scale' is 0, but values are divided by it");
  }
  const auto floats = [&](std::string_view key, std::vector<float>& out) {
    const auto values = reader.numbers(key);
    if (values) out.assign(values->begin(), values->end());
  };
  floats("mean", steps.mean);
  floats("std", steps.std);
  for (const float value : steps.std) {
    if (value == 0) reader.fail("std", "'std' holds a 0, but values are divided by it");
  }
}

/// The [preprocess] table. Images have no source_layout: files say themselves what they are.
Result<Preprocess> read_preprocess(std::optional<TomlReader> reader, bool images) {
  Preprocess steps;
  if (images) steps.channels = Channels::kRgb;
  if (!reader) return steps;
  read_resize(*reader, steps);
  steps.crop = read_size(*reader, "crop");
  if (const auto channels = reader->choice("channels", {"rgb", "bgr", "gray"})) {
    steps.channels = std::array{Channels::kRgb, Channels::kBgr, Channels::kGray}[*channels];
  }
  if (const auto layout = reader->choice("layout", {"nchw", "nhwc"})) {
    steps.layout = std::array{PixelLayout::kNchw, PixelLayout::kNhwc}[*layout];
  }
  read_values(*reader, steps);
  if (images) {
    if (reader->has("source_layout")) {
      (void)reader->text("source_layout");
      reader->fail("source_layout", "'source_layout' is for arrays: image files know their own");
    }
  } else if (const auto source = reader->choice("source_layout", {"nchw", "nhwc", "nhw"})) {
    steps.source_layout =
        std::array{PixelLayout::kNchw, PixelLayout::kNhwc, PixelLayout::kNhw}[*source];
  } else {
    for (const std::string_view key : {"resize", "crop", "channels", "layout"}) {
      if (reader->has(key)) {
        reader->fail(key, fmt::format("'{}' needs source_layout: which dimension of the array is "
                                      "height, width, channels?",
                                      key));
      }
    }
    if (steps.mean.size() > 1) reader->fail("mean", "several means need source_layout");
    if (steps.std.size() > 1) reader->fail("std", "several deviations need source_layout");
  }
  FEWBIT_TRY(reader->finish());
  return steps;
}

DType read_type(TomlReader& reader) {
  const std::optional<std::string> name = reader.text("type");
  if (!name) return DType::kFloat32;
  const std::optional<DType> type = dtype_from_name(*name);
  if (type && can_cast(*type) && *type != DType::kString && bits_of(*type) >= 8) return *type;
  reader.fail("type", fmt::format("'type' is \"{}\", expected an element type of 8 bits or more, "
                                  "such as float32, int64 or bool",
                                  *name));
  return DType::kFloat32;
}

Result<ArrayInput> read_array_input(TomlReader& reader, const std::string& default_file) {
  ArrayInput input;
  input.file = reader.text("file").value_or(default_file);
  if (input.file.empty()) reader.fail("file", "no 'file' says where the array is");
  input.array = reader.text("input").value_or("");
  input.feed = reader.text("feed").value_or("");
  input.type = read_type(reader);
  FEWBIT_ASSIGN(input.preprocess, read_preprocess(reader.table("preprocess"), false));
  return input;
}

Status read_images(TomlReader& reader, DataSetFile& file) {
  file.root = reader.text("root").value_or("");
  file.feed = reader.text("feed").value_or("");
  for (const std::string_view key : {"file", "input", "type", "inputs"}) {
    if (!reader.has(key)) continue;
    reader.fail(key, fmt::format("'{}' is for kind = \"arrays\"", key));
  }
  FEWBIT_ASSIGN(file.preprocess, read_preprocess(reader.table("preprocess"), true));
  return {};
}

Status read_arrays(TomlReader& reader, DataSetFile& file) {
  if (reader.has("root")) {
    (void)reader.text("root");
    reader.fail("root", "'root' is for kind = \"images\"; an array has a 'file'");
  }
  if (!reader.has("inputs")) {
    FEWBIT_ASSIGN(ArrayInput input, read_array_input(reader, ""));
    file.inputs.push_back(std::move(input));
    return {};
  }
  const std::string default_file = reader.text("file").value_or("");
  for (const std::string_view key : {"input", "feed", "type", "preprocess"}) {
    if (!reader.has(key)) continue;
    reader.fail(key, fmt::format("'{}' belongs into each of the [[inputs]]", key));
  }
  for (TomlReader& table : reader.tables("inputs")) {
    FEWBIT_ASSIGN(ArrayInput input, read_array_input(table, default_file));
    FEWBIT_TRY(table.finish());
    for (const ArrayInput& other : file.inputs) {
      if (other.feed == input.feed) {
        table.fail("feed",
                   fmt::format("two inputs have the feed '{}': give each its own", input.feed));
      }
    }
    FEWBIT_TRY(table.finish());
    file.inputs.push_back(std::move(input));
  }
  return {};
}

}  // namespace

std::string DataSetFile::resolve(const std::string& name) const {
  return (std::filesystem::path(folder) / name).string();
}

Result<DataSetFile> parse_dataset_file(std::string_view text, const std::string& path) {
  FEWBIT_ASSIGN(const toml::table table, parse_toml(text, path));
  TomlReader reader(table, path);
  DataSetFile file;
  file.path = path;
  file.folder = std::filesystem::path(path).parent_path().string();
  const auto kind = reader.choice("kind", {"images", "arrays"});
  if (!kind) {
    reader.fail("kind", "no 'kind': expected kind = \"images\" or kind = \"arrays\"");
    FEWBIT_TRY(reader.finish());
  }
  file.kind = *kind == 0 ? DataSetFile::Kind::kImages : DataSetFile::Kind::kArrays;
  file.labels = reader.text("labels").value_or("");
  file.classes = reader.integer("classes", 1, kNoLimit);
  if (file.classes && file.labels.empty()) reader.fail("classes", "'classes' needs 'labels'");
  file.limit = reader.integer("limit", 1, kNoLimit);
  if (const auto seed = reader.integer("seed", 0, kNoLimit))
    file.seed = static_cast<uint64_t>(*seed);
  FEWBIT_TRY(file.kind == DataSetFile::Kind::kImages ? read_images(reader, file)
                                                     : read_arrays(reader, file));
  FEWBIT_TRY(reader.finish());
  return file;
}

}  // namespace fewbit
