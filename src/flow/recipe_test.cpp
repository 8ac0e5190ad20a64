#include "flow/recipe.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace fewbit {
namespace {

std::string error_of(const Status& status) {
  EXPECT_FALSE(status.ok());
  if (status.ok()) return "";
  EXPECT_EQ(status.error().kind(), ErrorKind::kMisuse) << status.error().message();
  return status.error().message();
}

// Another value than the default, for every key.
Recipe changed() {
  Recipe r;
  for (const RecipeKey& key : recipe_keys()) {
    std::string old = key.get(r);
    std::string text = old == "true"                        ? "false"
                       : old == "false"                     ? "true"
                       : old.find_first_of("\"'") == 0      ? "\"a \\\"b\\\" \\\\ c\\nd é\""
                       : old.find('[') == 0                 ? "[\"x\", \"/conv 1/Conv\", \"\"]"
                       : old.find('.') != std::string::npos ? "77.123456789012345"
                                                            : "1234567890123";
    EXPECT_TRUE(key.set(r, text).ok()) << key.key << " = " << text;
    EXPECT_NE(key.get(r), old) << key.key;
  }
  return r;
}

void expect_equal(const Recipe& a, const Recipe& b) {
  for (const RecipeKey& key : recipe_keys()) EXPECT_EQ(key.get(a), key.get(b)) << key.key;
}

TEST(Recipe, EveryKeyGoesThroughTomlAndBack) {
  for (const Recipe& r : {Recipe{}, changed()}) {
    Recipe back = changed();
    Status status = parse_recipe(to_toml(r), "test", back);
    ASSERT_TRUE(status.ok()) << status.error().message() << "\n" << to_toml(r);
    expect_equal(back, r);
    EXPECT_EQ(back.float_layers, r.float_layers);
    EXPECT_EQ(back.percentile, r.percentile);
    EXPECT_EQ(back.scheme, r.scheme);
    EXPECT_EQ(to_toml(back), to_toml(r));
  }
}

TEST(Recipe, EveryFieldHasAKey) {
  // A field without one would come back as its default.
  Recipe r = changed();
  Recipe fresh;
  EXPECT_NE(r.calibration_data, fresh.calibration_data);
  EXPECT_NE(r.bias_samples, fresh.bias_samples);
  EXPECT_NE(r.equalize_max_scale, fresh.equalize_max_scale);
  EXPECT_NE(r.moving_average, fresh.moving_average);
  EXPECT_NE(r.absorb_bias, fresh.absorb_bias);
  EXPECT_NE(r.weight_importance, fresh.weight_importance);
  EXPECT_NE(r.export_products, fresh.export_products);
  EXPECT_EQ(recipe_keys().size(), 24U);
}

TEST(Recipe, UnknownKeysSuggestTheNearest) {
  Recipe r;
  std::string set = error_of(set_key(r, "calibration.sample", "3"));
  EXPECT_NE(set.find("'calibration.sample'"), std::string::npos) << set;
  EXPECT_NE(set.find("calibration.samples"), std::string::npos) << set;
  std::string text = error_of(parse_recipe("seed = 1\n[passes]\nequalise = \"on\"\n", "r.toml", r));
  EXPECT_NE(text.find("r.toml:3"), std::string::npos) << text;
  EXPECT_NE(text.find("passes.equalize"), std::string::npos) << text;
}

TEST(Recipe, WrongTypesNameTheKeyAndWhatWasExpected) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"seed", "\"one\"", "an integer"},
      {"seed", "1.5", "an integer"},
      {"strict", "1", "true or false"},
      {"calibration.percentile", "[1]", "a number"},
      {"layers.float", "\"conv1\"", "a list of strings"},
      {"layers.float", "[1, 2]", "a list of strings"},
  };
  for (const auto& [key, value, expected] : cases) {
    Recipe r;
    std::string set = error_of(set_key(r, key, value));
    EXPECT_NE(set.find(key), std::string::npos) << set;
    EXPECT_NE(set.find(expected), std::string::npos) << set;
    std::string parsed = error_of(parse_recipe(fmt::format("{} = {}\n", key, value), "r.toml", r));
    EXPECT_NE(parsed.find(key), std::string::npos) << parsed;
    EXPECT_NE(parsed.find(expected), std::string::npos) << parsed;
    expect_equal(r, Recipe{});
  }
  Recipe r;
  std::string number = error_of(parse_recipe("scheme = 8\n", "r.toml", r));
  EXPECT_NE(number.find("a string"), std::string::npos) << number;
}

TEST(Recipe, BrokenTomlNamesTheLine) {
  Recipe r;
  std::string text = error_of(parse_recipe("seed = 1\nscheme = \n", "r.toml", r));
  EXPECT_EQ(text.find("r.toml:2"), 0U) << text;
}

TEST(Recipe, SetTakesStringsWithoutQuotes) {
  Recipe r;
  EXPECT_TRUE(set_key(r, "scheme", "w8a8:tensor").ok());
  EXPECT_EQ(r.scheme, "w8a8:tensor");
  EXPECT_TRUE(set_key(r, "calibration.data", "data/my set #1.toml").ok());
  EXPECT_EQ(r.calibration_data, "data/my set #1.toml");
  EXPECT_TRUE(set_key(r, "calibration.observer", "\"minmax\"").ok());
  EXPECT_EQ(r.observer, "minmax");
  EXPECT_TRUE(set_key(r, "calibration.percentile", "99").ok());
  EXPECT_EQ(r.percentile, 99);
  EXPECT_TRUE(set_key(r, "strict", "true").ok());
  EXPECT_TRUE(r.strict);
  EXPECT_TRUE(set_key(r, "layers.float", "[\"a\", \"b\"]").ok());
  EXPECT_EQ(r.float_layers, (std::vector<std::string>{"a", "b"}));
}

class RecipeFile : public ::testing::Test {
 protected:
  RecipeFile()
      : folder_(std::filesystem::temp_directory_path() /
                fmt::format("fewbit_recipe_{}", getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~RecipeFile() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& text) {
    std::ofstream(folder_ / "r.toml") << text;
    return (folder_ / "r.toml").string();
  }
  std::filesystem::path folder_;
};

TEST_F(RecipeFile, PathsAreRelativeToIt) {
  Recipe r;
  std::string path =
      write("[calibration]\ndata = \"sets/c.toml\"\n[evaluation]\ndata = \"/abs/e.toml\"\n");
  ASSERT_TRUE(read_recipe(path, r).ok());
  EXPECT_EQ(r.calibration_data, (folder_ / "sets/c.toml").string());
  EXPECT_EQ(r.evaluation_data, "/abs/e.toml");
}

TEST_F(RecipeFile, WhatItDoesNotNameStays) {
  Recipe r;
  r.calibration_data = "given.toml";
  r.seed = 5;
  ASSERT_TRUE(read_recipe(write("threads = 2\n"), r).ok());
  EXPECT_EQ(r.calibration_data, "given.toml") << "it was relative to the working folder";
  EXPECT_EQ(r.seed, 5);
  EXPECT_EQ(r.threads, 2);
  // A file with an error changes nothing.
  EXPECT_FALSE(read_recipe(write("threads = 3\nsede = 1\n"), r).ok());
  EXPECT_EQ(r.threads, 2);
  EXPECT_FALSE(read_recipe((folder_ / "none.toml").string(), r).ok());
}

TEST(Recipe, SchemeChecksEveryChoice) {
  EXPECT_TRUE(scheme_of(Recipe{}).ok());
  const std::pair<const char*, const char*> wrong[] = {
      {"scheme", "w9a9"},
      {"weights.range", "mean"},
      {"passes.equalize", "onn"},
      {"passes.bias_correction", "all"},
      {"target", "ort-gpu"},
      {"calibration.observer", "msee"},
      {"activations.type", "u8"},
      {"calibration.percentile", "3"},
      {"calibration.percentile", "100.5"},
      {"calibration.moving_average", "1"},
      {"calibration.moving_average", "-0.1"},
      {"calibration.moving_average", "nan"},
      {"calibration.samples", "-1"},
      {"calibration.batch", "0"},
      {"threads", "-1"},
      {"threads", "4294967296"},
      {"passes.equalize_max_scale", "0.5"},
      {"passes.equalize_max_scale", "nan"},
      {"passes.bias_samples", "-2"},
  };
  for (const auto& [key, value] : wrong) {
    Recipe r;
    ASSERT_TRUE(set_key(r, key, value).ok());
    auto scheme = scheme_of(r);
    ASSERT_FALSE(scheme.ok()) << key << " = " << value;
    EXPECT_EQ(scheme.error().kind(), ErrorKind::kMisuse);
    EXPECT_NE(scheme.error().message().find(key), std::string::npos) << scheme.error().message();
  }
}

TEST(Recipe, SchemeOfSixteenBits) {
  Recipe r;
  r.scheme = "w8a16";
  EXPECT_EQ(scheme_of(r)->activation_type, DType::kUint16);
  r.activation_type = "int16";
  EXPECT_EQ(scheme_of(r)->activation_type, DType::kInt16);
  r.float_layers = {"head"};
  EXPECT_EQ(scheme_of(r)->float_layers.count("head"), 1U);
}

}  // namespace
}  // namespace fewbit
