// fewbit_codec: every row of the format table on plain files, for the tests and benchmarks that
// compare with other programs.
//
//   fewbit_codec parts  FORMAT ROWS COLS                     name, type and dimensions of each part
//   fewbit_codec encode FORMAT ROWS COLS IN.f32 OUT.bin [--no-search] [--importance FILE.f32]
//   fewbit_codec decode FORMAT ROWS COLS IN.bin OUT.f32
//   fewbit_codec decode-gguf mxfp4|nvfp4 IN.bin OUT.f32     GGUF's blocks of these two
//
// A .f32 file is ROWS * COLS float32 values, row-major (importance: that, or COLS values); a .bin
// file is the parts one after another. encode and decode print the seconds that they took without
// the files, by the clock and of all processors; OMP_NUM_THREADS sets the threads.

#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "formats/format.h"
#include "formats/gguf/mx_blocks.h"

namespace {

using namespace fewbit;

constexpr const char* kUsage =
    "usage: fewbit_codec parts FORMAT ROWS COLS\n"
    "       fewbit_codec encode FORMAT ROWS COLS IN.f32 OUT.bin [--no-search]"
    " [--importance FILE.f32]\n"
    "       fewbit_codec decode FORMAT ROWS COLS IN.bin OUT.f32\n"
    "       fewbit_codec decode-gguf mxfp4|nvfp4 IN.bin OUT.f32\n";

struct Arguments {
  std::string command;
  Format format;
  int64_t rows = 0;
  int64_t cols = 0;
  std::string in;
  std::string out;
  EncodeOptions options;
  std::string importance;
};

Result<Arguments> parse(std::span<char*> argv) {
  Arguments a;
  std::vector<std::string> words;
  for (size_t i = 1; i < argv.size(); ++i) {
    const std::string word = argv[i];
    if (word == "--no-search") {
      a.options.search = false;
    } else if (word == "--importance" && i + 1 < argv.size()) {
      a.importance = argv[++i];
    } else {
      words.push_back(word);
    }
  }
  if (words.empty()) return misuse("{}", kUsage);
  a.command = words[0];
  const bool has_files = a.command == "encode" || a.command == "decode";
  if ((!has_files && a.command != "parts") || words.size() != (has_files ? 6 : 4)) {
    return misuse("{}", kUsage);
  }
  FEWBIT_ASSIGN(a.format, parse_format(words[1]));
  const std::optional<int64_t> rows = parse_int64(words[2]);
  const std::optional<int64_t> cols = parse_int64(words[3]);
  if (!rows || !cols || *rows < 1 || *cols < 1) {
    return misuse("expected positive numbers of rows and columns, found '{}' and '{}'", words[2],
                  words[3]);
  }
  a.rows = *rows;
  a.cols = *cols;
  if (has_files) {
    a.in = words[4];
    a.out = words[5];
  }
  return a;
}

Result<std::vector<float>> read_floats(const std::string& path) {
  FEWBIT_ASSIGN(const std::string bytes, read_file(path));
  if (bytes.size() % sizeof(float) != 0) {
    return bad_input("{}: expected whole float32 values, found {} bytes", path, bytes.size());
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

template <typename F>
auto timed(std::string_view what, F&& function) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t processor_start = std::clock();
  auto result = function();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const std::clock_t ticks = std::clock() - processor_start;
  fmt::print("{} {:.6f} s, {:.6f} s of processors\n", what, seconds.count(),
             static_cast<double>(ticks) / CLOCKS_PER_SEC);
  return result;
}

Status run_parts(const Arguments& a) {
  for (const PartSpec& part : parts_of(a.format, a.rows, a.cols)) {
    fmt::print("{} {} {}\n", part.name, name_of(part.type), to_string(part.dims));
  }
  return {};
}

Status run_encode(const Arguments& a) {
  const auto elements = static_cast<size_t>(a.rows * a.cols);
  FEWBIT_ASSIGN(const std::vector<float> values, read_floats(a.in));
  if (values.size() != elements) {
    return bad_input("{}: expected {} values, found {}", a.in, elements, values.size());
  }
  EncodeInput in{values, a.rows, a.cols, {}};
  std::vector<float> importance;
  if (!a.importance.empty()) {
    FEWBIT_ASSIGN(importance, read_floats(a.importance));
    if (importance.size() != elements && importance.size() != static_cast<size_t>(a.cols)) {
      return bad_input("{}: expected {} or {} values, found {}", a.importance, elements, a.cols,
                       importance.size());
    }
    in.importance = importance;
  }
  FEWBIT_ASSIGN(const PackedMatrix packed,
                timed("encode", [&] { return encode(a.format, in, a.options); }));
  std::string bytes;
  for (const Tensor& part : packed.parts) {
    bytes.append(reinterpret_cast<const char*>(part.raw()), static_cast<size_t>(part.bytes()));
  }
  return write_file(a.out, bytes);
}

Status run_decode(const Arguments& a) {
  FEWBIT_ASSIGN(const std::string bytes, read_file(a.in));
  const int64_t expected = stored_bytes(a.format, a.rows, a.cols);
  if (static_cast<int64_t>(bytes.size()) != expected) {
    return bad_input("{}: expected {} bytes, found {}", a.in, expected, bytes.size());
  }
  PackedMatrix packed = make_packed(a.format, a.rows, a.cols);
  size_t offset = 0;
  for (Tensor& part : packed.parts) {
    std::memcpy(part.raw(), bytes.data() + offset, static_cast<size_t>(part.bytes()));
    offset += static_cast<size_t>(part.bytes());
  }
  const std::vector<float> values = timed("decode", [&] { return decode(packed); });
  return write_file(a.out,
                    {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

// Through the plain arrays, so that these are checked too.
template <typename Block>
Status decode_gguf(const std::string& in, const std::string& out) {
  FEWBIT_ASSIGN(const std::string bytes, read_file(in));
  if (bytes.size() % sizeof(Block) != 0) {
    return bad_input("{}: expected whole blocks of {} bytes, found {}", in, sizeof(Block),
                     bytes.size());
  }
  std::vector<Block> blocks(bytes.size() / sizeof(Block));
  std::memcpy(blocks.data(), bytes.data(), bytes.size());
  std::vector<uint8_t> codes(blocks.size() * Block::kElems);
  std::vector<uint8_t> scales(blocks.size() * Block::kGroups);
  formats::gguf::unpack_blocks(std::span<const Block>(blocks), codes, scales);
  std::fill(blocks.begin(), blocks.end(), Block{});
  formats::gguf::pack_blocks(codes, scales, std::span<Block>(blocks));
  std::vector<float> values(codes.size());
  formats::gguf::decode_blocks(std::span<const Block>(blocks), values);
  return write_file(out,
                    {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

Status run(std::span<char*> argv) {
  if (argv.size() == 5 && std::string_view(argv[1]) == "decode-gguf") {
    const std::string_view type = argv[2];
    if (type == "mxfp4") return decode_gguf<formats::gguf::Mxfp4Block>(argv[3], argv[4]);
    if (type == "nvfp4") return decode_gguf<formats::gguf::Nvfp4Block>(argv[3], argv[4]);
  }
  FEWBIT_ASSIGN(const Arguments a, parse(argv));
  if (a.command == "parts") return run_parts(a);
  return a.command == "encode" ? run_encode(a) : run_decode(a);
}

}  // namespace

int main(int argc, char** argv) {
  const Status status = run({argv, static_cast<size_t>(argc)});
  if (status.ok()) return 0;
  fmt::print(stderr, "error: {}\n", status.error().message());
  return status.error().kind() == ErrorKind::kMisuse ? 2 : 1;
}
