#include "io/safetensors/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "io/safetensors/reader.h"
#include "io/safetensors/writer.h"

namespace fewbit {
namespace {

/// A file with this header and so many bytes of data: 0, 1, 2, ...
std::string file_of(const std::string& json, size_t data_bytes) {
  const uint64_t length = json.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  file += json;
  for (size_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i);
  return file;
}

Result<SafetensorsFile> parse(const std::string& file) {
  return SafetensorsFile::parse({std::as_bytes(std::span(file)), nullptr, false});
}

std::string error_of(const std::string& file) {
  const auto parsed = parse(file);
  return parsed.ok() ? "" : parsed.error().message();
}

std::string written(const std::map<std::string, std::string>& metadata,
                    std::vector<NamedTensor> tensors) {
  const auto layout = SafetensorsLayout::make(metadata, std::move(tensors));
  EXPECT_TRUE(layout.ok()) << layout.error().message();
  std::string out;
  const Status status = layout->write([&](std::span<const std::byte> bytes) -> Status {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  });
  EXPECT_TRUE(status.ok());
  return out;
}

constexpr const char* kTwo =
    R"({"__metadata__":{"k":"v"},"b":{"dtype":"U8","shape":[2],"data_offsets":[8,10]},)"
    R"("a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}   )";

TEST(SafetensorsReader, ReadsMetadataAndTensorsInTheOrderOfTheirBytes) {
  const std::string bytes = file_of(kTwo, 10);
  const auto file = parse(bytes);
  ASSERT_TRUE(file.ok()) << file.error().message();
  EXPECT_EQ(file->metadata(), (std::map<std::string, std::string>{{"k", "v"}}));
  ASSERT_EQ(file->entries().size(), 2U);
  const SafetensorsEntry& a = file->entries()[0];
  const uint64_t data = 8 + std::strlen(kTwo);
  EXPECT_EQ(a.label(), fmt::format("tensor 'a' at bytes {} to {}", data, data + 8));
  EXPECT_EQ(a.type, DType::kFloat32);
  EXPECT_EQ(a.dims, (Dims{2, 1}));
  EXPECT_EQ(file->find("b"), &file->entries()[1]);
  EXPECT_EQ(file->find("c"), nullptr);
  EXPECT_EQ(file->header(), std::string_view(bytes).substr(0, data));
  const Tensor b = file->tensor(file->entries()[1]);
  EXPECT_EQ(b.data<uint8_t>()[0], 8);
  EXPECT_EQ(b.data<uint8_t>()[1], 9);
}

TEST(SafetensorsReader, ViewsAlignedBytesAndCopiesOthers) {
  // Two spaces more or less put the floats at a multiple of 4 or not.
  for (const size_t spaces : {0U, 1U, 2U, 3U}) {
    const std::string bytes = file_of(std::string(kTwo) + std::string(spaces, ' '), 10);
    const auto owner = std::make_shared<std::string>(bytes);
    const auto file = SafetensorsFile::parse({std::as_bytes(std::span(*owner)), owner, false});
    ASSERT_TRUE(file.ok());
    const Tensor a = file->tensor(*file->find("a"));
    const auto* in_file = file->bytes(*file->find("a")).data();
    const bool aligned = reinterpret_cast<uintptr_t>(in_file) % 4 == 0;
    EXPECT_EQ(a.raw() == in_file, aligned);
    EXPECT_EQ(std::memcmp(a.raw(), in_file, 8), 0);
  }
}

TEST(SafetensorsReader, KnowsTheElementTypesOfTheFormat) {
  for (const auto& [name, bits] : std::initializer_list<std::pair<const char*, size_t>>{
           {"F64", 64},    {"F32", 32},    {"F16", 16},        {"BF16", 16},       {"F8_E4M3", 8},
           {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F4", 4},
           {"I64", 64},    {"I32", 32},    {"I16", 16},        {"I8", 8},          {"U64", 64},
           {"U32", 32},    {"U16", 16},    {"U8", 8},          {"BOOL", 8},        {"C64", 64}}) {
    const size_t bytes = 6 * bits / 8;
    const auto file = parse(file_of(
        fmt::format(R"({{"t":{{"dtype":"{}","shape":[2,3],"data_offsets":[0,{}]}}}})", name, bytes),
        bytes));
    ASSERT_TRUE(file.ok()) << name << ": " << file.error().message();
    EXPECT_EQ(safetensors_name(file->entries()[0].type), name);
  }
  EXPECT_EQ(error_of(file_of(R"({"t":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}})", 3)),
            "the header: tensor 't': elements of type 'F6_E2M3' are not supported");
}

TEST(SafetensorsReader, NamesTensorAndByteOfWhatIsWrong) {
  const auto one = [](const char* members) { return fmt::format(R"({{"t":{{{}}}}})", members); };
  const auto tensor_error = [&](const char* members, size_t data_bytes) {
    return error_of(file_of(one(members), data_bytes));
  };
  const std::string t = "the header: tensor 't': ";
  EXPECT_EQ(tensor_error(R"("dtype":"U8","shape":[2])", 2), t + "has no data_offsets");
  EXPECT_EQ(tensor_error(R"("shape":[2],"data_offsets":[0,2])", 2), t + "has no dtype");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","data_offsets":[0,2])", 2), t + "has no shape");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2])", 2),
            t + "dtype is there twice");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","shape":[2],"data_offsets":[0,2],"x":1)", 2),
            t + "has 'x', expected dtype, shape and data_offsets");
  EXPECT_EQ(tensor_error(R"("dtype":7,"shape":[2],"data_offsets":[0,2])", 2),
            t + "a number where none is expected");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","shape":"2","data_offsets":[0,2])", 2),
            t + "a string where none is expected");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","shape":[[2]],"data_offsets":[0,2])", 2),
            t + "a list where none is expected");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","shape":[-2],"data_offsets":[0,2])", 2),
            t + "the number -2 where only whole ones from 0 on are expected");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","shape":[2],"data_offsets":[0,2,2])", 2),
            t + "has more than two data_offsets");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","shape":[2],"data_offsets":[2])", 2),
            t + "data_offsets are not two numbers, the second not below the first");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","shape":[2],"data_offsets":[2,0])", 2),
            t + "data_offsets are not two numbers, the second not below the first");
  EXPECT_EQ(tensor_error(R"("dtype":"F32","shape":[2],"data_offsets":[0,9])", 9),
            t + "holds 9 bytes, but float32[2] needs 8");
  EXPECT_EQ(tensor_error(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])", 2),
            t + "float4e2m1[3] does not fill whole bytes");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,2])", 2),
            t + "has the dimension 9223372036854775808");
  EXPECT_EQ(tensor_error(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])", 0),
            t + "shape [4294967296, 4294967296] overflows");
}

TEST(SafetensorsReader, RefusesOverlapsHolesAndWhatLiesOutside) {
  const auto two = [](int a, int b, int c, int d, size_t data_bytes) {
    return error_of(
        file_of(fmt::format(R"({{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}},)"
                            R"("b":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}}}})",
                            b - a, a, b, d - c, c, d),
                data_bytes));
  };
  const int data = 8 + 105;
  EXPECT_EQ(two(0, 4, 4, 8, 8), "");
  EXPECT_EQ(two(4, 8, 0, 4, 8), "");
  EXPECT_EQ(two(0, 4, 4, 4, 4), "");  // without elements
  EXPECT_EQ(two(0, 4, 3, 8, 8),
            fmt::format("tensor 'b' at bytes {} to {} overlaps tensor 'a' at bytes {} to {}",
                        data + 3, data + 8, data, data + 4));
  EXPECT_EQ(two(0, 4, 5, 8, 8),
            fmt::format("bytes {} to {}, before tensor 'b' at bytes {} to {}, belong to no tensor",
                        data + 4, data + 5, data + 5, data + 8));
  EXPECT_EQ(two(0, 4, 4, 8, 7),
            fmt::format("tensor 'b' has data_offsets 4 to 8, counted from byte {}, but the file "
                        "ends at byte {}: cut short?",
                        data, data + 7));
  EXPECT_EQ(
      two(0, 4, 4, 8, 9),
      fmt::format("bytes {} to {}, the end of the file, belong to no tensor", data + 8, data + 9));
}

TEST(SafetensorsReader, RefusesDoubledKeys) {
  const std::string t = R"("t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  const std::string u = R"("t":{"dtype":"U8","shape":[2],"data_offsets":[2,4]})";
  EXPECT_EQ(error_of(file_of("{" + t + "," + u + "}", 4)),
            "tensor 't' at bytes 115 to 117: another one, at byte 113, has the same name");
  EXPECT_EQ(error_of(file_of(R"({"__metadata__":{},"__metadata__":{}})", 0)),
            "the header: __metadata__ is there twice");
  EXPECT_EQ(error_of(file_of(R"({"__metadata__":{"k":"1","k":"2"}})", 0)),
            "the header: __metadata__ key 'k': is there twice");
  EXPECT_EQ(error_of(file_of(R"({"__metadata__":{"k":1}})", 0)),
            "the header: __metadata__ key 'k': a number where none is expected");
}

TEST(SafetensorsReader, RefusesAHeaderThatIsNone) {
  EXPECT_EQ(error_of("1234567"),
            "has 7 bytes: a safetensors file begins with the 8 of its header's length");
  EXPECT_EQ(error_of(std::string("\0\0\0\0\0\0\0\0", 8)),
            "not a safetensors file: its header, at byte 8, does not begin with '{'");
  EXPECT_EQ(error_of(file_of(" {}", 0)),
            "not a safetensors file: its header, at byte 8, does not begin with '{'");
  EXPECT_EQ(error_of(file_of("{}", 0).substr(0, 9)),
            "cut short: its header should end at byte 10, the file at byte 9");
  EXPECT_EQ(error_of(std::string(16, '\xff')),
            "not a safetensors file: bytes 0 to 8 give its header 18446744073709551615 bytes, at "
            "most 100000000 are allowed");
  EXPECT_EQ(error_of(file_of("{\"t\"}", 0)), "the header: tensor 't': not valid JSON at byte 12");
}

TEST(SafetensorsWriter, AlignsLargeTensorsToPagesAndOthersToLines) {
  std::vector<NamedTensor> tensors;
  const auto add = [&](const std::string& name, DType type, int64_t elements) {
    tensors.push_back({name, Tensor::zeros(type, {elements})});
    std::memset(tensors.back().tensor.raw(), 7, static_cast<size_t>(tensors.back().tensor.bytes()));
  };
  add("bytes", DType::kUint8, 3);
  add("line", DType::kUint8, 1025);
  add("page", DType::kFloat32, 16384 + 1);
  add("words", DType::kInt64, 5);
  add("line2", DType::kFloat16, 700);
  add("halves", DType::kBfloat16, 3);
  add("page2", DType::kInt8, 65536);
  const std::string bytes = written({}, tensors);
  const auto file = parse(bytes);
  ASSERT_TRUE(file.ok()) << file.error().message();
  std::vector<std::string> order;
  for (const SafetensorsEntry& e : file->entries()) {
    order.push_back(e.name);
    for (const std::byte b : file->bytes(e)) ASSERT_EQ(b, std::byte(e.is_padding() ? 0 : 7));
  }
  EXPECT_EQ(order,
            (std::vector<std::string>{"page", "fewbit.padding.0", "page2", "line",
                                      "fewbit.padding.1", "line2", "words", "halves", "bytes"}));
  EXPECT_EQ(file->find("page")->begin, 4096U);
  EXPECT_EQ(file->find("page2")->begin % 4096, 0U);
  EXPECT_EQ(file->find("line")->begin % 64, 0U);
  EXPECT_EQ(file->find("line2")->begin % 64, 0U);
  EXPECT_EQ(file->find("words")->begin % 8, 0U);
}

TEST(SafetensorsWriter, StoresTypesWithoutANameAsTheirBytes) {
  const std::string bytes = written({}, {{"i4", Tensor::zeros(DType::kInt4, {3, 5})},
                                         {"f4", Tensor::zeros(DType::kFloat4E2M1, {4})},
                                         {"u2", Tensor::zeros(DType::kUint2, {9})},
                                         {"c", Tensor::zeros(DType::kComplex128, {2})},
                                         {"e8", Tensor::zeros(DType::kFloat8E8M0, {2, 2})}});
  const auto file = parse(bytes);
  ASSERT_TRUE(file.ok()) << file.error().message();
  const auto stored = [&](const char* name) {
    return fmt::format("{}{}", name_of(file->find(name)->type), to_string(file->find(name)->dims));
  };
  EXPECT_EQ(stored("i4"), "uint8[8]");
  EXPECT_EQ(stored("f4"), "uint8[2]");
  EXPECT_EQ(stored("u2"), "uint8[3]");
  EXPECT_EQ(stored("c"), "uint8[32]");
  EXPECT_EQ(stored("e8"), "float8e8m0[2, 2]");
}

TEST(SafetensorsWriter, RefusesWhatTheFormatCannotHold) {
  const Tensor one = Tensor::scalar(1.0F);
  const auto error = [](std::vector<NamedTensor> tensors,
                        const std::map<std::string, std::string>& metadata = {}) {
    const auto layout = SafetensorsLayout::make(metadata, std::move(tensors));
    return layout.ok() ? "" : layout.error().message();
  };
  EXPECT_EQ(error({{"a", one}, {"a", one}}), "two tensors have the name 'a'");
  EXPECT_EQ(error({{"__metadata__", one}}),
            "a tensor cannot have the name '__metadata__': it is reserved");
  EXPECT_EQ(error({{"fewbit.padding.9", one}}),
            "a tensor cannot have the name 'fewbit.padding.9': it is reserved");
  EXPECT_EQ(error({{"\xff", one}}), "a tensor's name is not valid UTF-8");
  EXPECT_EQ(error({{"s", Tensor::strings({1}, {"x"})}}),
            "tensor 's' holds strings, which safetensors cannot store");
  EXPECT_EQ(error({}, {{"k", "\xff"}}), "the metadata 'k' is not valid UTF-8");
  std::string long_text;
  long_text.resize(100'000'000, 'x');
  EXPECT_EQ(error({}, {{"k", long_text}}),
            "the header would have 100003832 bytes, a safetensors file allows 100000000");
}

}  // namespace
}  // namespace fewbit
