// Every row of the table, by what all of them promise.

#include "formats/format.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include "base/random.h"
#include "formats/leveled.h"

namespace fewbit {
namespace {

// Every row with its defaults, and with each of its choices.
std::vector<Format> all_formats() {
  std::vector<Format> list;
  for (const FormatRow* row : format_table()) {
    std::vector<std::string> names = {std::string(row->name)};
    // Where codebooks are learned, one choice of a kind is enough for the time it takes.
    const bool quick = formats::leveled_of(default_format(*row)) != nullptr;
    if (row->groups) names.push_back(names[0] + "/g32");
    if (row->groups && quick) {
      for (const char* g : {"/g16", "/g48", "/g256"}) names.push_back(names[0] + g);
    }
    if (row->channel) names.push_back(names[0] + "/channel");
    if (row->tensor) names.push_back(names[0] + "/tensor");
    for (int s = 1; s <= static_cast<int>(ScaleType::kU8); ++s) {
      const auto type = static_cast<ScaleType>(s);
      if ((row->scales & scale_bit(type)) == 0 || !quick) continue;
      const std::string suffix = ":" + std::string(name_of(type));
      names.push_back(names[0] + (row->groups ? "/g32" : "") + suffix);
      if (is_integer_scale(type)) names.push_back(names[0] + "/g32" + suffix + "s256");
    }
    for (const std::string& name : names) {
      const Result<Format> format = parse_format(name);
      if (format.ok()) list.push_back(*format);
      EXPECT_TRUE(format.ok()) << name << ": " << (format.ok() ? "" : format.error().message());
    }
  }
  return list;
}

struct Case {
  int64_t rows, cols;
  std::vector<float> values;
};

Case random_case(int64_t rows, int64_t cols, uint64_t seed, float deviation = 0.05F) {
  Case c{rows, cols, std::vector<float>(static_cast<size_t>(rows * cols))};
  Random(seed).fill_normal(c.values, 0, deviation);
  return c;
}

PackedMatrix packed(const Format& format, const Case& c, std::span<const float> importance = {},
                    bool search = true) {
  Result<PackedMatrix> m = encode(format, {c.values, c.rows, c.cols, importance}, {search});
  EXPECT_TRUE(m.ok()) << format.name() << ": " << (m.ok() ? "" : m.error().message());
  return m.ok() ? std::move(*m) : make_packed(format, c.rows, c.cols);
}

double squared_error(const Case& c, const std::vector<float>& decoded,
                     std::span<const float> importance = {}) {
  double sum = 0;
  for (size_t i = 0; i < c.values.size(); ++i) {
    const double e = static_cast<double>(c.values[i]) - decoded[i];
    const size_t j = importance.size() == c.values.size() ? i : i % static_cast<size_t>(c.cols);
    sum += e * e * (importance.empty() ? 1.0 : importance[j]);
  }
  return sum;
}

bool same_parts(const PackedMatrix& a, const PackedMatrix& b) {
  for (size_t i = 0; i < a.parts.size(); ++i) {
    if (!a.parts[i].identical(b.parts[i])) return false;
  }
  return true;
}

TEST(FormatTable, IdsAndNamesAreUniqueAndSaySomething) {
  std::set<uint16_t> ids;
  std::set<std::string_view> names;
  for (const FormatRow* row : format_table()) {
    EXPECT_TRUE(ids.insert(row->id).second) << row->name;
    EXPECT_TRUE(names.insert(row->name).second) << row->name;
    EXPECT_EQ(find_format(row->name), row);
    EXPECT_EQ(find_format(row->id), row);
    EXPECT_FALSE(row->summary.empty()) << row->name;
    EXPECT_FALSE(row->source.empty()) << row->name;
  }
}

TEST(FormatNames, GoBothWays) {
  for (const Format& format : all_formats()) {
    const Result<Format> again = parse_format(format.name());
    ASSERT_TRUE(again.ok()) << format.name();
    EXPECT_EQ(*again, format) << format.name();
  }
  EXPECT_EQ(parse_format("int4/g64:f16")->name(), "int4");
  EXPECT_EQ(parse_format("int4/g32:u6s256")->name(), "int4/g32:u6s256");
}

TEST(FormatNames, ErrorsSayWhatThereIs) {
  const auto message = [](const char* text) {
    const Result<Format> format = parse_format(text);
    EXPECT_FALSE(format.ok()) << text;
    return format.ok() ? std::string() : format.error().message();
  };
  EXPECT_NE(message("nf5").find("did you mean 'nf4'"), std::string::npos);
  EXPECT_NE(message("int4/g24").find("/g16 to /g256"), std::string::npos);
  EXPECT_NE(message("int4/row").find("/channel"), std::string::npos);
  EXPECT_NE(message("int4:fp16").find(":f16"), std::string::npos);
  EXPECT_NE(message("mxfp4/g16").find("no choices"), std::string::npos);
  EXPECT_NE(message("int4/channel:u4").find("need groups"), std::string::npos);
  EXPECT_NE(message("int4/g48:u6s256").find("do not divide"), std::string::npos);
  for (const char* text : {"", "/g32", "int4/", "int4:", "int4/g32:", "int4:f16s256", "INT4"})
    message(text);
}

TEST(Formats, StorageIsWhatPartsSay) {
  for (const Format& format : all_formats()) {
    const Case c = random_case(19, 300, 1);
    const PackedMatrix m = packed(format, c);
    EXPECT_TRUE(check_parts(m).ok()) << format.name();
    int64_t bytes = 0;
    for (const Tensor& part : m.parts) bytes += part.bytes();
    EXPECT_EQ(bytes, stored_bytes(format, 19, 300)) << format.name();
    EXPECT_DOUBLE_EQ(bits_per_weight(format, 19, 300), 8.0 * static_cast<double>(bytes) / 5700);
    PackedMatrix wrong = m;
    wrong.parts[0] = Tensor::zeros(DType::kUint8, {3});
    EXPECT_FALSE(check_parts(wrong).ok());
    wrong.parts.clear();
    EXPECT_FALSE(check_parts(wrong).ok());
  }
}

TEST(Formats, RaggedShapesHaveBoundedError) {
  for (const Format& format : all_formats()) {
    for (const auto& [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{
             {1, 1}, {1, 7}, {3, 9}, {17, 33}, {5, 172}, {33, 64}, {2, 257}}) {
      const Case c = random_case(rows, cols, static_cast<uint64_t>(rows * 1000 + cols));
      const std::vector<float> decoded = decode(packed(format, c));
      // Nothing is worse than a row of zeros; and no value leaves the range of its row by more than
      // half of it.
      EXPECT_LE(squared_error(c, decoded),
                squared_error(c, std::vector<float>(c.values.size())) * 1.0001)
          << format.name() << " [" << rows << ", " << cols << "]";
      for (int64_t r = 0; r < rows; ++r) {
        float largest = 0;
        for (int64_t j = 0; j < cols; ++j) {
          largest = std::max(largest, std::fabs(c.values[static_cast<size_t>(r * cols + j)]));
        }
        if (format.group_elems == Format::kPerTensor || format.row->prepare != nullptr) continue;
        for (int64_t j = 0; j < cols; ++j) {
          EXPECT_LE(std::fabs(decoded[static_cast<size_t>(r * cols + j)]), 1.5F * largest)
              << format.name();
        }
      }
    }
  }
}

TEST(Formats, SearchIsNeverWorseThanTheLargestMagnitude) {
  for (const Format& format : all_formats()) {
    const Case c = random_case(32, 256, 5);
    const double searched = squared_error(c, decode(packed(format, c)));
    const double plain = squared_error(c, decode(packed(format, c, {}, false)));
    EXPECT_LE(searched, plain * 1.0001) << format.name();
  }
}

TEST(Formats, ImportanceIsHeeded) {
  const Case c = random_case(16, 256, 6);
  std::vector<float> importance(256);
  Random random(7);
  for (float& w : importance) w = static_cast<float>(std::exp(2 * random.normal()));
  std::vector<float> everywhere;
  for (int r = 0; r < 16; ++r)
    everywhere.insert(everywhere.end(), importance.begin(), importance.end());
  for (const Format& format : all_formats()) {
    const PackedMatrix by_column = packed(format, c, importance);
    const double with = squared_error(c, decode(by_column), importance);
    const double without = squared_error(c, decode(packed(format, c)), importance);
    // Learned codebooks end in one local optimum or another, above all where there are hardly more
    // vectors than entries.
    const bool learned = format.row->prepare != nullptr && formats::leveled_of(format) == nullptr;
    EXPECT_LE(with, without * (learned ? 1.3 : 1.001)) << format.name();
    EXPECT_TRUE(same_parts(by_column, packed(format, c, everywhere))) << format.name();
  }
}

TEST(Formats, BytesDoNotDependOnThreads) {
  const Case c = random_case(34, 4200, 8);  // 16 rows are one thread's task
  for (const FormatRow* row : format_table()) {
    const Format format = default_format(*row);
    omp_set_num_threads(1);
    const PackedMatrix one = packed(format, c);
    omp_set_num_threads(3);
    EXPECT_TRUE(same_parts(one, packed(format, c))) << format.name();
    const std::vector<float> all = decode(one);
    std::vector<float> some(7 * 4200);
    decode_rows(one, 20, 27, some);
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + 20 * 4200)) << format.name();
  }
  omp_set_num_threads(omp_get_num_procs());
}

TEST(Formats, ZerosStayZeros) {
  for (const Format& format : all_formats()) {
    Case c = random_case(18, 300, 9);
    std::fill(c.values.begin(), c.values.begin() + 2 * 300, 0.0F);
    std::fill(c.values.begin() + 5 * 300 + 64, c.values.begin() + 5 * 300 + 128, 0.0F);
    const std::vector<float> decoded = decode(packed(format, c));
    for (const float v : decoded) ASSERT_TRUE(std::isfinite(v)) << format.name();
    // A grid without a zero comes as near as its smallest scale.
    const bool exact = format.group_elems != Format::kPerTensor && format.row->name != "binary";
    for (size_t i = 0; i < 600; ++i) {
      EXPECT_TRUE(!exact || decoded[i] == 0) << format.name() << " " << decoded[i];
    }
  }
}

TEST(Formats, TinyAndHugeWeightsNeverMakeNaN) {
  for (const Format& format : all_formats()) {
    for (const float size : {1e-44F, 1e-38F, 1e-20F, 1e-6F, 1e4F, 1e20F, 3e38F}) {
      Case c = random_case(3, 64, 10, 1);
      for (float& v : c.values) v = std::clamp(v / 4, -1.0F, 1.0F) * size;
      const Result<PackedMatrix> m = encode(format, {c.values, 3, 64, {}});
      if (!m.ok()) {  // only because the scale's type cannot hold it
        EXPECT_GT(size, 1e3F) << format.name() << ": " << m.error().message();
        continue;
      }
      for (const float v : decode(*m)) ASSERT_FALSE(std::isnan(v)) << format.name() << " " << size;
    }
  }
}

TEST(Formats, NotFiniteIsRefusedByPlace) {
  for (const Format& format : all_formats()) {
    Case c = random_case(20, 70, 11);
    c.values[17 * 70 + 3] = NAN;
    const Result<PackedMatrix> m = encode(format, {c.values, 20, 70, {}});
    ASSERT_FALSE(m.ok()) << format.name();
    EXPECT_NE(m.error().message().find("row 17, column 3"), std::string::npos)
        << m.error().message();
    c.values[17 * 70 + 3] = 0;
    const std::vector<float> importance(70, -1.0F);
    EXPECT_FALSE(encode(format, {c.values, 20, 70, importance}).ok()) << format.name();
  }
}

TEST(Formats, EveryPatternOfBitsDecodes) {
  Random random(12);
  for (const Format& format : all_formats()) {
    PackedMatrix m = make_packed(format, 5, 77);
    for (Tensor& part : m.parts) {
      auto* bytes = part.data<uint8_t>();
      for (int64_t i = 0; i < part.bytes(); ++i) bytes[i] = static_cast<uint8_t>(random.below(256));
    }
    EXPECT_EQ(decode(m).size(), size_t{5 * 77}) << format.name();
  }
}

}  // namespace
}  // namespace fewbit
