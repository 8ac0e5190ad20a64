#include "data/array_file.h"

#include "base/random.h"
#include "data/idx.h"
#include "data/inflate.h"
#include "data/npy.h"
#include "data/test_support.h"
#include "numerics/convert.h"

namespace fewbit {
namespace {

using namespace std::string_literals;

class ArrayFileTest : public FolderTest {
 protected:
  /// The error of opening a file with this content.
  Result<FileArray> open(const std::string& content, const std::string& array = "") const {
    return FileArray::open(put("a", content), array);
  }
};
using NpyTest = ArrayFileTest;
using NpzTest = ArrayFileTest;
using IdxTest = ArrayFileTest;

const std::string kFloats = "\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40"s;  // 1, 2, 3

TEST_F(NpyTest, WritesWhatNumPyWrites) {
  ASSERT_TRUE(write_npy(at("a.npy"), Tensor::from<float>({3}, {1, 2, 3})).ok());
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
  header.resize(117, ' ');
  EXPECT_EQ(*read_file(at("a.npy")), npy_file(header, kFloats));
}

TEST_F(NpyTest, EveryTypeAndShapeRoundTrips) {
  const std::vector<uint8_t> ones(24, 1);
  const Tensor source = Tensor::from<uint8_t>({24}, ones);
  for (const DType type : {DType::kBool, DType::kInt8, DType::kUint8, DType::kInt16, DType::kUint16,
                           DType::kInt32, DType::kUint32, DType::kInt64, DType::kUint64,
                           DType::kFloat16, DType::kFloat32, DType::kFloat64}) {
    for (const Dims& dims : {Dims{24}, Dims{2, 3, 4}, Dims{24, 1}, Dims{1, 1, 1, 24}}) {
      const Tensor tensor = cast(source, type)->reshaped(dims);
      ASSERT_TRUE(write_npy(at("a.npy"), tensor).ok());
      const auto back = read_npy(at("a.npy"));
      ASSERT_TRUE(back.ok()) << back.error().message();
      EXPECT_TRUE(back->identical(tensor)) << name_of(type);
    }
  }
  ASSERT_TRUE(write_npy(at("s.npy"), Tensor::scalar<int64_t>(-5)).ok());
  EXPECT_TRUE(read_npy(at("s.npy"))->identical(Tensor::scalar<int64_t>(-5)));
  ASSERT_TRUE(write_npy(at("e.npy"), Tensor::zeros(DType::kFloat32, {0, 3})).ok());
  EXPECT_EQ(read_npy(at("e.npy"))->dims(), (Dims{0, 3}));
}

TEST_F(NpyTest, TypesThatNumPyLacksAreWidened) {
  const Tensor source = Tensor::from<float>({3}, {-2, 0, 1});
  for (const auto& [type, written] : {std::pair{DType::kBfloat16, DType::kFloat32},
                                      {DType::kFloat8E5M2, DType::kFloat32},
                                      {DType::kInt4, DType::kInt8},
                                      {DType::kInt2, DType::kInt8}}) {
    ASSERT_TRUE(write_npy(at("a.npy"), *cast(source, type)).ok());
    EXPECT_TRUE(read_npy(at("a.npy"))->identical(*cast(source, written))) << name_of(type);
  }
  EXPECT_ERROR(write_npy(at("b.npy"), Tensor::strings({1}, {"x"})), "cannot write string as npy");
  EXPECT_FALSE(std::filesystem::exists(at("b.npy")));
}

TEST_F(NpyTest, ViewOfTheMappedFile) {
  ASSERT_TRUE(write_npy(at("a.npy"), Tensor::from<float>({3}, {1, 2, 3})).ok());
  const FileArray array = *FileArray::open(at("a.npy"));
  EXPECT_EQ(array.whole().raw(), array.whole().raw()) << "copied although aligned";
  EXPECT_EQ(array.rows(1, 2).data<float>()[1], 3);
  // Data that begins anywhere is copied to where it is aligned.
  const auto odd = read_npy(put("b.npy", npy_file("<f4", "(3,)", kFloats)));
  ASSERT_TRUE(odd.ok());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(odd->raw()) % kTensorAlignment, 0U);
  EXPECT_EQ(odd->data<float>()[2], 3);
}

TEST_F(NpyTest, OtherVersionsAndSpellings) {
  const std::string header = "{\"shape\": (3L,), 'fortran_order': True, 'descr': '<f4'}\n";
  const std::string two = "\x93NUMPY\x02\0"s + little_endian_text(header.size(), 4) + header;
  const auto array = open(two + kFloats);
  ASSERT_TRUE(array.ok()) << array.error().message();  // in one dimension all orders are the same
  EXPECT_EQ(array->dims(), (Dims{3}));
  const auto big = open(npy_file(">i2", "(2,)", "\x01\x02\xff\xfe"));
  ASSERT_TRUE(big.ok());
  EXPECT_EQ(big->whole().data<int16_t>()[0], 0x0102);
  EXPECT_EQ(big->whole().data<int16_t>()[1], -2);
}

TEST_F(NpyTest, ClearErrors) {
  EXPECT_ERROR(
      open(npy_file("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 3), }", kFloats)),
      "the array is in Fortran order, expected C order");
  EXPECT_ERROR(open(npy_file("<f4", "(4,)", kFloats)),
               "[4] of float32: expected 16 bytes of elements, found 12 (the file is cut off)");
  EXPECT_ERROR(open(npy_file("<f4", "(2,)", kFloats)), "expected 8 bytes of elements, found 12");
  EXPECT_ERROR(open(npy_file("<U5", "(2,)", "")), "element type '<U5', expected bool, an integer");
  EXPECT_ERROR(
      open(npy_file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "")),
      "element type '[('a', '<f4')]'");
  EXPECT_ERROR(open(npy_file("<f4", "(4611686018427387904, 4)", "")), "overflows");
  EXPECT_ERROR(open(npy_file("<f4", "(99999999999999999999,)", "")), "the npy header is damaged");
  EXPECT_ERROR(open(npy_file("<f4", "(-1,)", "")), "the npy header is damaged");
  EXPECT_ERROR(open(npy_file("{'descr': '<f4'}", "")), "the npy header is damaged");
  EXPECT_ERROR(open("\x93NUMPY\x09\0\0\0"s), "npy format version 9");
  EXPECT_ERROR(open("\x93NUMPY\x01"s), "cut off within the npy header");
  EXPECT_ERROR(open("\x93NUMPY\x01\0\xff\xff{"s), "cut off within the npy header");
  EXPECT_ERROR(open("hello"), "neither npy, npz, IDX nor IDX in gzip");
  EXPECT_ERROR(open(""), "the file is empty");
  EXPECT_ERROR(read_npy(put("x", zip_file({}))), "not an npy file");
}

TEST_F(NpzTest, StoredDeflatedAndWideEntries) {
  const std::string x = npy_file("<f4", "(3,)", kFloats);
  const std::string y = npy_file("|u1", "(2,)", "\x05\x06");
  for (const bool deflate : {false, true}) {
    for (const bool wide : {false, true}) {
      const std::string zip = zip_file({{"x.npy", x, deflate, wide}, {"y.npy", y, deflate, wide}});
      const auto array = open(zip, "x");
      ASSERT_TRUE(array.ok()) << array.error().message();
      EXPECT_TRUE(array->named());
      EXPECT_EQ(array->name(), at("a") + ": x");
      EXPECT_TRUE(array->whole().identical(Tensor::from<float>({3}, {1, 2, 3})));
      EXPECT_TRUE(open(zip, "y")->rows(1, 1).identical(Tensor::from<uint8_t>({1}, {6})));
    }
  }
}

TEST_F(NpzTest, ChoosingAnEntry) {
  const std::string x = npy_file("<f4", "(3,)", kFloats);
  EXPECT_TRUE(open(zip_file({{"x.npy", x}})).ok());
  const std::string two = zip_file({{"images.npy", x}, {"labels.npy", x}, {"readme.txt", "x"}});
  EXPECT_ERROR(open(two), "holds several arrays, name one of images, labels");
  EXPECT_ERROR(open(two, "label"),
               "no array 'label' (did you mean 'labels'?); it holds images, labels");
  EXPECT_ERROR(open(zip_file({{"readme.txt", "x"}})), "holds no array");
}

TEST_F(NpzTest, ClearErrors) {
  const std::string x = npy_file("<f4", "(3,)", kFloats);
  const std::string good = zip_file({{"x.npy", x, true}});
  ASSERT_TRUE(open(good).ok());
  for (size_t length = 2; length < good.size(); ++length) {
    EXPECT_ERROR(open(good.substr(0, length)), "not a zip file, or cut off");
  }
  std::string flipped = good;  // within the compressed data: after the header of 30 and the name
  flipped[45] = static_cast<char>(flipped[45] ^ 0x10);
  EXPECT_ERROR(open(flipped), "x: ");
  std::string encrypted = good;
  encrypted[good.find("PK\x01\x02") + 8] = 1;
  EXPECT_ERROR(open(encrypted), "entry 'x.npy' is encrypted");
  std::string method = good;
  method[good.find("PK\x01\x02") + 10] = 12;
  EXPECT_ERROR(open(method), "compression method 12, expected stored or deflate");
  std::string outside = good;
  outside[good.find("PK\x01\x02") + 45] = 0x7f;
  EXPECT_ERROR(open(outside), "entry 'x.npy' is damaged or cut off");
  std::string bomb = good;  // claims 2 GB from a few bytes
  bomb[good.find("PK\x01\x02") + 27] = 0x7f;
  EXPECT_ERROR(open(bomb), "cannot hold");
  EXPECT_ERROR(open(zip_file({{"x.npy", x + "more", true}})),
               "expected 12 bytes of elements, found 16");
}

std::string idx_file(int type, const std::vector<uint32_t>& dims, const std::string& data) {
  std::string file = {0, 0, static_cast<char>(type), static_cast<char>(dims.size())};
  for (const uint32_t d : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(d >> shift);
  }
  return file + data;
}

TEST_F(IdxTest, PlainAndGzip) {
  const std::string file = idx_file(8, {2, 3}, "\x01\x02\x03\x04\x05\x06");
  for (const std::string& content : {file, deflated(file, true)}) {
    const auto array = open(content);
    ASSERT_TRUE(array.ok()) << array.error().message();
    EXPECT_TRUE(array->whole().identical(Tensor::from<uint8_t>({2, 3}, {1, 2, 3, 4, 5, 6})));
    EXPECT_FALSE(array->named());
  }
  const auto wide = open(deflated(idx_file(0x0b, {2}, "\x01\x02\xff\xfe"), true));
  EXPECT_TRUE(wide->whole().identical(Tensor::from<int16_t>({2}, {258, -2})));
  const auto floats = open(idx_file(0x0d, {1}, "\x3f\x80\0\0"s));
  EXPECT_TRUE(floats->whole().identical(Tensor::from<float>({1}, {1})));
}

TEST_F(IdxTest, ClearErrors) {
  EXPECT_ERROR(open(idx_file(8, {2, 3}, "\x01")),
               "[2, 3] of uint8: expected 6 bytes of elements, found 1");
  EXPECT_ERROR(open(idx_file(8, {2, 3}, "").substr(0, 6)), "cut off within the IDX header");
  EXPECT_ERROR(open(idx_file(7, {2}, "")), "neither npy, npz, IDX");
  EXPECT_ERROR(open(deflated("hello", true)), "not an IDX file");
  const std::string good = deflated(idx_file(8, {3, 100}, std::string(300, 'x')), true);
  EXPECT_ERROR(open(good.substr(0, good.size() - 9)), "the compressed data is cut off");
  EXPECT_ERROR(open(deflated(idx_file(8, {3, 100}, "xx"), true)), "ends 298 bytes too early");
  EXPECT_ERROR(open(deflated(idx_file(8, {3}, "xxxx"), true)),
               "more decompressed data than its header");
  EXPECT_ERROR(open(deflated(idx_file(8, {4000000000, 4}, "x"), true)),
               "[4000000000, 4] of uint8 cannot be in");
  std::string wrong_sum = good;
  wrong_sum[good.size() - 6] ^= 1;
  EXPECT_ERROR(open(wrong_sum), "damaged compressed data: incorrect data check");
}

TEST(Inflate, LargeContentGoesToAFile) {
  Random random(1);
  std::string content(3 << 20, '\0');
  for (char& c : content) c = static_cast<char>(random.below(4));
  const std::string packed = deflated(content, false);
  const auto scratch = allocate_scratch(static_cast<int64_t>(content.size()), 1 << 20);
  ASSERT_TRUE(scratch.ok()) << scratch.error().message();
  Inflater inflater(bytes_of_text(packed), Inflater::Wrapping::kRaw, "x");
  ASSERT_TRUE(inflater.read(std::span(scratch->data, content.size())).ok());
  ASSERT_TRUE(inflater.expect_end().ok());
  EXPECT_EQ(std::memcmp(scratch->data, content.data(), content.size()), 0);
  EXPECT_EQ(inflater.crc(), crc32(0, reinterpret_cast<const Bytef*>(content.data()), 3 << 20));
}

TEST(Inflate, NoRoomIsAnError) {
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("TMPDIR", "/no/such/folder", 1);
  const auto scratch = allocate_scratch(100, 10);
  if (before != nullptr) {
    ::setenv("TMPDIR", kept.c_str(), 1);
  } else {
    ::unsetenv("TMPDIR");
  }
  EXPECT_ERROR(scratch, "no room for 100 B of decompressed data");
}

}  // namespace
}  // namespace fewbit
