#include "report/table.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace fewbit {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::string_view line : split(text, '\n')) lines.emplace_back(line);
  EXPECT_EQ(lines.back(), "");
  lines.pop_back();
  return lines;
}

size_t characters(const std::string& text) {
  size_t count = 0;
  for (char c : text) count += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
  return count;
}

// Every lead byte is followed by as many continuation bytes as it announces.
bool is_utf8(const std::string& text) {
  for (size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i]);
    size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0U) != 0x80U) return false;
    }
    i += length;
  }
  return true;
}

TEST(Table, ColumnsAreAsWideAsTheirContent) {
  Table t({"name", ">n"});
  t.row({"a", "1"});
  t.row({"long name", "1234"});
  EXPECT_EQ(t.print(80),
            "name          n\n"
            "---------  ----\n"
            "a             1\n"
            "long name  1234\n");
}

TEST(Table, TheWidestTextColumnGivesWay) {
  Table t({"layer", "op", ">bytes"});
  std::string name = "features.0.conv/with/a/very/long/path/that/nobody/would/want/to/read/weight";
  t.row({name, "Conv", "123456"});
  for (int columns : {40, 50, 72}) {
    for (const std::string& line : lines_of(t.print(columns))) {
      EXPECT_LE(characters(line), static_cast<size_t>(columns)) << line;
    }
    std::string text = t.print(columns);
    EXPECT_NE(text.find("Conv"), std::string::npos);
    EXPECT_NE(text.find("123456"), std::string::npos);
    EXPECT_NE(text.find("weight"), std::string::npos) << "the end tells names apart";
    EXPECT_NE(text.find(".."), std::string::npos);
  }
}

TEST(Table, CutsBetweenCharactersNotBytes) {
  std::string name;
  for (int i = 0; i < 60; ++i) name += i % 3 == 0 ? "é" : i % 3 == 1 ? "層" : "😀";
  Table t({"Schicht", ">größe"});
  t.row({name, "1"});
  t.row({"x", "12"});
  for (int columns : {40, 41, 42, 43, 60}) {
    std::string text = t.print(columns);
    EXPECT_TRUE(is_utf8(text)) << text;
    std::vector<std::string> lines = lines_of(text);
    ASSERT_EQ(lines.size(), 4U);
    for (const std::string& line : lines) EXPECT_EQ(characters(line), static_cast<size_t>(columns));
  }
}

TEST(Table, NoRowsAndEmptyCells) {
  Table t({"a", ">b"});
  EXPECT_EQ(t.print(80), "a  b\n-  -\n");
  t.row({"", ""});
  EXPECT_EQ(t.print(80), "a  b\n-  -\n\n");
}

}  // namespace
}  // namespace fewbit
