#include "cli/arguments.h"

#include <gtest/gtest.h>

namespace fewbit::cli {
namespace {

struct Values {
  std::string model;
  std::vector<std::string> inputs;
  int64_t batch = 1;
  double seconds = 3;
  std::string to;
  bool json = false;
};

// A program with the commands "first" and "second"; `values` belong to the second.
Result<std::optional<size_t>> parse(Values& values, std::vector<const char*> words) {
  CommandLine line({"program", "About it.", "program 1", ""});
  line.add_command("first", "Does nothing.");
  Arguments& second = line.add_command("second", "Takes everything.");
  second.option("model", values.model, "A model").required();
  second.option("-i,--input", values.inputs, "Inputs").one_value();
  second.option("--batch", values.batch, "Samples").range(1, 8);
  second.option("--seconds", values.seconds, "Time").real_range(0, 10);
  second.option("--to", values.to, "Type").choices({"fp16", "bf16"});
  second.flag("--json", values.json, "As JSON");
  words.insert(words.begin(), "program");
  return line.parse(static_cast<int>(words.size()), words.data());
}

TEST(Arguments, FillTheVariables) {
  Values values;
  auto chosen = parse(values, {"second", "-i", "a=1", "--json", "--input", "b=2", "m.onnx",
                               "--batch", "4", "--seconds", "0.5", "--to", "bf16"});
  ASSERT_TRUE(chosen.ok()) << chosen.error().message();
  EXPECT_EQ(*chosen, std::optional<size_t>(1));
  EXPECT_EQ(values.model, "m.onnx");
  EXPECT_EQ(values.inputs, (std::vector<std::string>{"a=1", "b=2"}));
  EXPECT_EQ(values.batch, 4);
  EXPECT_EQ(values.seconds, 0.5);
  EXPECT_EQ(values.to, "bf16");
  EXPECT_TRUE(values.json);
}

TEST(Arguments, MisuseNamesTheArgument) {
  const std::vector<std::pair<std::vector<const char*>, std::string>> cases = {
      {{"second"}, "model"},
      {{"second", "m", "--batch", "9"}, "--batch"},
      {{"second", "m", "--seconds", "-1"}, "--seconds"},
      {{"second", "m", "--to", "fp8"}, "fp8"},
      {{"second", "m", "--input"}, "--input"},
      {{"second", "m", "--nothing"}, "--nothing"},
      {{"first", "m"}, "m"},
  };
  for (const auto& [words, named] : cases) {
    Values values;
    auto chosen = parse(values, words);
    ASSERT_FALSE(chosen.ok()) << named;
    EXPECT_EQ(chosen.error().kind(), ErrorKind::kMisuse);
    EXPECT_NE(chosen.error().message().find(named), std::string::npos) << chosen.error().message();
  }
}

}  // namespace
}  // namespace fewbit::cli
