#include "data/npy.h"

#include <array>
#include <cstring>
#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "data/byte_reader.h"
#include "numerics/convert.h"

namespace fewbit {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct TypeRow {
  std::string_view code;  ///< Without the byte order.
  DType type;
};
constexpr std::array<TypeRow, 12> kTypes = {{{"b1", DType::kBool},
                                             {"i1", DType::kInt8},
                                             {"u1", DType::kUint8},
                                             {"i2", DType::kInt16},
                                             {"u2", DType::kUint16},
                                             {"i4", DType::kInt32},
                                             {"u4", DType::kUint32},
                                             {"i8", DType::kInt64},
                                             {"u8", DType::kUint64},
                                             {"f2", DType::kFloat16},
                                             {"f4", DType::kFloat32},
                                             {"f8", DType::kFloat64}}};

/// Reads the Python dictionary of the header: strings, True and False, and a tuple of integers.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  bool parse() {
    if (!take('{')) return false;
    while (!take('}')) {
      std::string_view key;
      if (!quoted(key) || !take(':') || !value(key)) return false;
      if (!take(',') && peek() != '}') return false;
    }
    return trim(text_.substr(at_)).empty() && has_descr_ && has_order_ && has_shape_;
  }

  std::string_view descr() const { return descr_; }
  bool fortran() const { return fortran_; }
  const Dims& dims() const { return dims_; }

 private:
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool quoted(std::string_view& out) {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return false;
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return false;
    out = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }
  bool value(std::string_view key) {
    if (key == "descr") {
      has_descr_ = true;
      if (peek() != '[') return quoted(descr_);
      // Structured types have a list here: its text is kept for the message.
      const size_t end = text_.find(']', at_);
      if (end == std::string_view::npos) return false;
      descr_ = text_.substr(at_, end + 1 - at_);
      at_ = end + 1;
      return true;
    }
    if (key == "fortran_order") {
      peek();
      const bool yes = text_.substr(at_).starts_with("True");
      if (!yes && !text_.substr(at_).starts_with("False")) return false;
      at_ += yes ? 4 : 5;
      fortran_ = yes;
      has_order_ = true;
      return true;
    }
    return key == "shape" && tuple();
  }
  bool tuple() {
    if (!take('(')) return false;
    has_shape_ = true;
    dims_.clear();
    while (!take(')')) {
      peek();
      const size_t end = text_.find_first_not_of("0123456789", at_);
      if (end == std::string_view::npos) return false;
      const auto number = parse_int64(text_.substr(at_, end - at_));
      if (!number || dims_.size() == 64) return false;
      dims_.push_back(*number);
      at_ = end;
      take('L');  // Python 2 wrote long integers so
      if (!take(',') && peek() != ')') return false;
    }
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string_view descr_;
  bool fortran_ = false;
  Dims dims_;
  bool has_descr_ = false;
  bool has_order_ = false;
  bool has_shape_ = false;
};

/// The text of the header, and where the data begins.
Result<std::string_view> header_text(std::span<const std::byte> bytes, std::string_view name,
                                     size_t& data_offset) {
  if (bytes.size() < kMagic.size() ||
      std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return bad_input("{}: not an npy file (its first bytes are not \\x93NUMPY)", name);
  }
  const auto version = little_endian(bytes, 6, 1);
  if (version && (*version < 1 || *version > 3)) {
    return unsupported("{}: npy format version {}, expected 1, 2 or 3", name, *version);
  }
  const size_t length_bytes = version == 1U ? 2 : 4;
  const auto length = little_endian(bytes, 8, length_bytes);
  const auto text = length ? slice(bytes, 8 + length_bytes, *length) : std::nullopt;
  if (!text) return bad_input("{}: cut off within the npy header", name);
  data_offset = 8 + length_bytes + text->size();
  return std::string_view(reinterpret_cast<const char*>(text->data()), text->size());
}

}  // namespace

Result<NpyHeader> parse_npy_header(std::span<const std::byte> bytes, std::string_view name) {
  NpyHeader header;
  FEWBIT_ASSIGN(const std::string_view text, header_text(bytes, name, header.data_offset));
  HeaderParser parser(text);
  if (!parser.parse()) {
    return bad_input("{}: the npy header is damaged: {}", name, text.substr(0, 200));
  }
  const std::string_view descr = parser.descr();
  const std::string_view code = descr.empty() ? descr : descr.substr(1);
  for (const TypeRow& row : kTypes) {
    if (row.code == code && std::string_view("<>|=").find(descr[0]) != std::string_view::npos) {
      header.type = row.type;
    }
  }
  if (header.type == DType::kUndefined) {
    return unsupported("{}: element type '{}', expected bool, an integer or float16 to float64",
                       name, descr);
  }
  if (parser.fortran() && parser.dims().size() > 1) {
    return unsupported(
        "{}: the array is in Fortran order, expected C order (in NumPy: "
        "numpy.ascontiguousarray before saving)",
        name);
  }
  header.big_endian = descr[0] == '>' && bits_of(header.type) > 8;
  header.dims = parser.dims();
  auto elements = checked_elements(header.dims, header.type);
  if (!elements.ok()) return std::move(elements).error().with_context(name);
  header.data_bytes = bytes_of(header.type, *elements);
  return header;
}

Status write_npy(const std::string& path, const Tensor& tensor) {
  const TypeRow* row = nullptr;
  for (const TypeRow& candidate : kTypes) {
    if (candidate.type == tensor.type()) row = &candidate;
  }
  if (row == nullptr) {
    if (!can_cast(tensor.type()) || tensor.type() == DType::kString) {
      return unsupported("{}: cannot write {} as npy", path, name_of(tensor.type()));
    }
    const DType wider = is_float(tensor.type())            ? DType::kFloat32
                        : is_signed_integer(tensor.type()) ? DType::kInt8
                                                           : DType::kUint8;
    FEWBIT_ASSIGN(const Tensor wide, cast(tensor, wider));
    return write_npy(path, wide);
  }
  std::string shape;
  for (const int64_t d : tensor.dims()) shape += fmt::format("{}, ", d);
  if (tensor.rank() > 1) shape.resize(shape.size() - 2);  // (3,) keeps its comma, (3, 4) has none
  if (tensor.rank() == 1) shape.resize(shape.size() - 1);
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                   bits_of(row->type) == 8 ? '|' : '<', row->code, shape);
  // Spaces up to a multiple of 64, so that the elements are aligned in a mapped file.
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  FEWBIT_ASSIGN(AtomicFile file, AtomicFile::create(path));
  const auto length = static_cast<unsigned>(header.size());
  const std::array<char, 4> version_and_length = {1, 0, static_cast<char>(length & 0xff),
                                                  static_cast<char>(length >> 8)};
  FEWBIT_TRY(file.write(kMagic));
  FEWBIT_TRY(file.write(std::string_view(version_and_length.data(), version_and_length.size())));
  FEWBIT_TRY(file.write(header));
  FEWBIT_TRY(file.write(std::span(tensor.raw(), static_cast<size_t>(tensor.bytes()))));
  return file.commit();
}

}  // namespace fewbit
