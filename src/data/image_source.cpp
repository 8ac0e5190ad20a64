// kind = "images": a folder of pictures, or a CSV of files and labels.

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "data/sample_source.h"

namespace fewbit {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kExtensions = {".jpg", ".jpeg", ".png"};

struct Entry {
  std::string file;  ///< Relative to the root.
  int64_t label = -1;
};

class ImageSource : public SampleSource {
 public:
  ImageSource(const DataSetFile& file, std::string root, std::vector<Entry> entries)
      : root_(std::move(root)),
        feed_(file.feed),
        steps_(file.preprocess),
        entries_(std::move(entries)) {}

  int64_t size() const override { return static_cast<int64_t>(entries_.size()); }
  std::vector<std::string> feeds() const override { return {feed_}; }
  std::string name(int64_t position) const override {
    return (fs::path(root_) / entry(position).file).string();
  }
  int64_t label(int64_t position) const override { return entry(position).label; }

  Result<std::vector<Tensor>> load(int64_t position) const override {
    const std::string path = name(position);
    FEWBIT_ASSIGN(const std::string content, read_file(path));
    FEWBIT_ASSIGN(Image image, decode_image(std::as_bytes(std::span(content)), path));
    FEWBIT_ASSIGN(Tensor values, preprocess_image(std::move(image), steps_, path));
    return std::vector<Tensor>{std::move(values)};
  }

  Status hash(int64_t position, Sha256& into) const override {
    FEWBIT_ASSIGN(const std::string content, read_file(name(position)));
    into.update_number(content.size());
    into.update(content);
    return {};
  }

 private:
  const Entry& entry(int64_t position) const { return entries_[static_cast<size_t>(position)]; }

  std::string root_;
  std::string feed_;
  Preprocess steps_;
  std::vector<Entry> entries_;
};

/// All pictures in the folder and below it, in the order of their relative names.
Result<std::vector<Entry>> list_folder(const DataSetFile& file, const std::string& root) {
  std::error_code error;
  fs::recursive_directory_iterator it(root, fs::directory_options::follow_directory_symlink, error);
  if (error) return io_error("{}: cannot list the folder: {}", root, error.message());
  std::vector<Entry> entries;
  for (const fs::recursive_directory_iterator end; it != end; it.increment(error)) {
    const std::string extension = lower_case(it->path().extension().string());
    const bool picture =
        std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
    if (picture && it->is_regular_file(error)) {
      entries.push_back({it->path().lexically_relative(root).generic_string(), -1});
    }
    if (it.depth() > 64) return bad_input("{}: folders are nested more than 64 deep", root);
  }
  if (error) return io_error("{}: cannot list the folder: {}", root, error.message());
  if (entries.empty()) {
    return bad_input("{}: the data set is empty: no {} files in {}", file.path,
                     join(kExtensions, ", "), root);
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.file < b.file; });
  return entries;
}

/// One line of a CSV as fields; quotes around a field allow commas in it, "" is a quote.
std::optional<std::vector<std::string>> csv_fields(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted) {
      if (c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += line[++i];
      } else if (c == '"') {
        quoted = false;
      } else {
        fields.back() += c;
      }
    } else if (c == '"' && fields.back().empty()) {
      quoted = true;
    } else if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (quoted) return std::nullopt;
  return fields;
}

/// The columns "file" and "label" by the names in the first line; others are ignored.
Result<std::vector<Entry>> read_csv(const DataSetFile& file, const std::string& path) {
  FEWBIT_ASSIGN(const std::string content, read_file(path));
  std::vector<Entry> entries;
  std::optional<std::pair<size_t, size_t>> columns;
  int64_t line_number = 0;
  for (std::string_view line : split(content, '\n')) {
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (trim(line).empty()) continue;
    const std::string place = fmt::format("{}:{}", path, line_number);
    const auto fields = csv_fields(line);
    if (!fields) return bad_input("{}: a quote is not closed", place);
    const auto column = [&](std::string_view name) {
      return static_cast<size_t>(std::find(fields->begin(), fields->end(), name) - fields->begin());
    };
    if (!columns) {
      columns = {column("file"), column("label")};
      if (std::max(columns->first, columns->second) >= fields->size()) {
        return bad_input("{}: expected the header 'file,label', found '{}'", place,
                         line.substr(0, 100));
      }
      continue;
    }
    if (std::max(columns->first, columns->second) >= fields->size()) {
      return bad_input("{}: expected a file and a label, found '{}'", place, line.substr(0, 100));
    }
    const std::string_view text = trim((*fields)[columns->second]);
    const auto label = parse_int64(text);
    if (!label) return bad_input("{}: the label '{}' is not a whole number", place, text);
    FEWBIT_TRY(check_label(file, place, *label));
    entries.push_back({(*fields)[columns->first], *label});
  }
  if (entries.empty())
    return bad_input("{}: the data set is empty: {} lists no files", file.path, path);
  return entries;
}

}  // namespace

Result<SourcePtr> open_images(const DataSetFile& file) {
  const std::string root = file.root.empty() && file.folder.empty() ? "." : file.resolve(file.root);
  FEWBIT_ASSIGN(std::vector<Entry> entries, file.labels.empty()
                                                ? list_folder(file, root)
                                                : read_csv(file, file.resolve(file.labels)));
  return SourcePtr(std::make_shared<ImageSource>(file, root, std::move(entries)));
}

}  // namespace fewbit
