#include "data/toml_reader.h"

#include "data/test_support.h"

namespace fewbit {
namespace {

TEST(TomlReader, GivesWhatStandsThere) {
  const toml::table table =
      *parse_toml("a = 'x'\nb = 3\nc = 2\nd = [1, 2.5]\ne = true\n[t]\nf = 1\n", "p");
  TomlReader reader(table, "p");
  EXPECT_EQ(reader.text("a"), "x");
  EXPECT_EQ(reader.integer("b", 0, 5), 3);
  EXPECT_EQ(reader.number("c"), 2.0);
  EXPECT_EQ(reader.numbers("d"), (std::vector<double>{1, 2.5}));
  EXPECT_EQ(reader.boolean("e"), true);
  EXPECT_EQ(reader.text("absent"), std::nullopt);
  auto inner = reader.table("t");
  EXPECT_EQ(inner->integers("f", 0, 9), (std::vector<int64_t>{1}));
  EXPECT_TRUE(inner->finish().ok());
  EXPECT_TRUE(reader.finish().ok());
}

Status read(const std::string& text) {
  FEWBIT_ASSIGN(const toml::table table, parse_toml(text, "f.toml"));
  TomlReader reader(table, "f.toml");
  (void)reader.text("name");
  (void)reader.integer("count", 1, 9);
  (void)reader.integer("size", 1, std::numeric_limits<int64_t>::max());
  (void)reader.choice("mode", {"fast", "slow"});
  (void)reader.number("scale");
  (void)reader.numbers("values");
  (void)reader.boolean("on");
  for (TomlReader& table_reader : reader.tables("part")) {
    (void)table_reader.text("name");
    FEWBIT_TRY(table_reader.finish());
  }
  return reader.finish();
}

TEST(TomlReader, EveryMistakeHasItsLine) {
  EXPECT_TRUE(read("").ok());
  EXPECT_ERROR(read("count = 1\n\nnaem = 'x'\n"),
               "f.toml:3: unknown key 'naem' (did you mean 'name'?)");
  EXPECT_ERROR(read("zebra = 1\n"), "f.toml:1: unknown key 'zebra'; known are name, count, size");
  EXPECT_ERROR(read("\nname = 5\n"), "f.toml:2: 'name' is an integer, expected a string");
  EXPECT_ERROR(read("count = 10\n"), "f.toml:1: 'count' is 10, expected 1 to 9");
  EXPECT_ERROR(read("size = 0\n"), "f.toml:1: 'size' is 0, expected at least 1");
  EXPECT_ERROR(read("count = 1.5\n"), "'count' is a number, expected an integer");
  EXPECT_ERROR(read("mode = 'fst'\n"),
               "'mode' is \"fst\", expected one of fast, slow (did you mean 'fast'?)");
  EXPECT_ERROR(read("scale = inf\n"), "'scale' is a number, expected a finite number");
  EXPECT_ERROR(read("values = []\n"), "'values' must be a finite number or an array");
  EXPECT_ERROR(read("values = [1, 'x']\n"), "'values' must be a finite number or an array");
  EXPECT_ERROR(read("on = 1\n"), "'on' is an integer, expected true or false");
  EXPECT_ERROR(read("part = 1\n"), "'part' must be tables, each begun by [[part]]");
  EXPECT_ERROR(read("[[part]]\nname = 'a'\n[[part]]\nnam = 'b'\n"),
               "f.toml:4: unknown key 'nam' in [part] (did you mean 'name'?)");
  EXPECT_ERROR(read("name = \n"), "f.toml:1: ");
  EXPECT_ERROR(read("name = 'a'\nname = 'b'\n"), "f.toml:2: ");
  EXPECT_EQ(read("name = \n").error().kind(), ErrorKind::kBadInput);
}

TEST(TomlReader, KindOfErrorIsTheCallers) {
  EXPECT_EQ(parse_toml("a = ", "p", ErrorKind::kMisuse).error().kind(), ErrorKind::kMisuse);
  const toml::table table = *parse_toml("a = 1\n[t]\nb = 2\n", "p");
  TomlReader reader(table, "p", "", ErrorKind::kMisuse);
  (void)reader.integer("a", 0, 9);
  EXPECT_EQ(reader.table("t")->finish().error().kind(), ErrorKind::kMisuse);
}

}  // namespace
}  // namespace fewbit
