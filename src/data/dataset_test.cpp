#include "data/dataset.h"

#include <set>

#include "base/threads.h"
#include "data/npy.h"
#include "data/test_support.h"

namespace fewbit {
namespace {

namespace fs = std::filesystem;

class DataSetTest : public FolderTest {
 protected:
  Result<DataSet> open(const std::string& toml, const DataSetOverrides& overrides = {}) const {
    return DataSet::open(put("set.toml", toml), overrides);
  }
  void put_npy(const std::string& name, const Tensor& tensor) const {
    ASSERT_TRUE(write_npy(at(name), tensor).ok());
  }
  /// Ten samples of two numbers: 10 i and 10 i + 1, labelled i.
  void put_ten() const {
    std::vector<float> values;
    std::vector<int64_t> labels;
    for (int i = 0; i < 10; ++i) {
      values.insert(values.end(),
                    {10.0F * static_cast<float>(i), 10.0F * static_cast<float>(i) + 1});
      labels.push_back(i);
    }
    put_npy("x.npy", Tensor::from<float>({10, 2}, values));
    put_npy("y.npy", Tensor::from<int64_t>({10}, labels));
  }
};
using ImageSetTest = DataSetTest;

const std::string kTen = "kind = 'arrays'\nfile = 'x.npy'\nlabels = 'y.npy'\n";

std::vector<int64_t> labels_of(const DataSet& set) {
  return set.batch(0, set.size())->labels;
}

TEST_F(DataSetTest, BatchesOfArrays) {
  put_ten();
  const auto set = open(kTen);
  ASSERT_TRUE(set.ok()) << set.error().message();
  EXPECT_EQ(set->size(), 10);
  EXPECT_TRUE(set->labelled());
  EXPECT_EQ(set->max_label(), 9);
  EXPECT_EQ(set->name(3), at("x.npy") + "[3]");
  const Batch batch = *set->batch(8, 5);  // cut at the end
  ASSERT_EQ(batch.feeds.size(), 1U);
  EXPECT_EQ(batch.feeds[0].name, "");
  EXPECT_TRUE(batch.feeds[0].value.identical(Tensor::from<float>({2, 2}, {80, 81, 90, 91})));
  EXPECT_EQ(batch.labels, (std::vector<int64_t>{8, 9}));
  EXPECT_EQ(set->get(2)->feeds[0].value.dims(), (Dims{1, 2}));
}

TEST_F(DataSetTest, LimitAndSeed) {
  put_ten();
  EXPECT_EQ(labels_of(*open(kTen + "limit = 3\n")), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(open(kTen + "limit = 30\n")->size(), 10);
  EXPECT_EQ(open(kTen + "limit = 3\n", {.limit = 2, .seed = {}})->size(), 2);
  const auto shuffled = labels_of(*open(kTen + "seed = 1\n"));
  EXPECT_EQ(std::set<int64_t>(shuffled.begin(), shuffled.end()).size(), 10U);
  EXPECT_NE(shuffled, labels_of(*open(kTen)));
  EXPECT_EQ(shuffled, labels_of(*open(kTen, {.limit = {}, .seed = 1})));
  // The shuffle comes first: the limited set is its beginning.
  EXPECT_EQ(labels_of(*open(kTen + "seed = 1\nlimit = 4\n")),
            std::vector<int64_t>(shuffled.begin(), shuffled.begin() + 4));
  EXPECT_ERROR(open(kTen, {.limit = 0, .seed = {}}), "the limit is 0");
}

TEST_F(DataSetTest, HashNamesTheSelectedData) {
  put_ten();
  const std::string hash = *open(kTen)->hash();
  EXPECT_EQ(hash.size(), 64U);
  EXPECT_EQ(*open(kTen)->hash(), hash);
  EXPECT_EQ(*open(kTen + "limit = 10\n")->hash(), hash);
  EXPECT_NE(*open(kTen + "limit = 9\n")->hash(), hash);
  EXPECT_NE(*open(kTen + "seed = 1\n")->hash(), hash);
  EXPECT_NE(*open("kind = 'arrays'\nfile = 'x.npy'\n")->hash(), hash);
}

TEST_F(DataSetTest, ArraysInAnNpz) {
  const std::string x = npy_file("|u1", "(2, 1, 1, 3)", "\x0a\x14\x1e\x28\x32\x3c");
  put("d.npz",
      zip_file({{"x.npy", x, true},
                {"y.npy", npy_file("<i4", "(2, 1)", std::string("\x01\0\0\0\x05\0\0\0", 8))}}));
  const std::string base = "kind = 'arrays'\nfile = 'd.npz'\ninput = 'x'\nlabels = 'y'\n";
  const std::string steps =
      "[preprocess]\nsource_layout = 'nhwc'\nscale = 10\nmean = [1, 2, 3]\nstd = 2\n";
  const auto set = open(base + steps);
  ASSERT_TRUE(set.ok()) << set.error().message();
  const Batch batch = *set->batch(0, 2);
  EXPECT_EQ(batch.feeds[0].name, "") << "the npz's name is not the model's";
  EXPECT_TRUE(batch.feeds[0].value.identical(
      Tensor::from<float>({2, 3, 1, 1}, {0, 0, 0, 1.5F, 1.5F, 1.5F})));
  EXPECT_EQ(batch.labels, (std::vector<int64_t>{1, 5}));
  EXPECT_EQ(open(base + "feed = 'pixels'\n")->feeds(), (std::vector<std::string>{"pixels"}));
  EXPECT_ERROR(open("kind = 'arrays'\nfile = 'd.npz'\ninput = 'x'\nlabels = 'z'\n"),
               "no array 'z'");
  EXPECT_ERROR(open(base + "classes = 5\n" + steps),
               "y[1]: the label 5 is out of range: the data set has 5 classes (0 to 4)");
}

TEST_F(DataSetTest, SeveralInputsAndTypes) {
  put_npy("ids.npy", Tensor::from<int64_t>({2, 2}, {1, 2, 3, 4}));
  put_npy("mask.npy", Tensor::from<uint8_t>({2, 2}, {1, 0, 1, 1}));
  const auto set = open(
      "kind = 'arrays'\n[[inputs]]\nfile = 'ids.npy'\ninput = 'input_ids'\ntype = 'int64'\n"
      "[[inputs]]\nfile = 'mask.npy'\nfeed = 'mask'\n[inputs.preprocess]\nscale = 2\n");
  ASSERT_TRUE(set.ok()) << set.error().message();
  EXPECT_EQ(set->feeds(), (std::vector<std::string>{"input_ids", "mask"}));
  EXPECT_FALSE(set->labelled());
  const Batch batch = *set->batch(1, 1);
  EXPECT_TRUE(batch.feeds[0].value.identical(Tensor::from<int64_t>({1, 2}, {3, 4})));
  EXPECT_TRUE(batch.feeds[1].value.identical(Tensor::from<float>({1, 2}, {0.5F, 0.5F})));
  EXPECT_EQ(batch.labels, (std::vector<int64_t>{-1}));
}

TEST_F(DataSetTest, MistakesInTheFile) {
  put_ten();
  EXPECT_ERROR(open(""), "set.toml");
  EXPECT_ERROR(open("file = 'x'\n"), "no 'kind': expected kind = \"images\" or kind = \"arrays\"");
  EXPECT_ERROR(open("kind = 'image'\n"), "expected one of images, arrays (did you mean 'images'?)");
  EXPECT_ERROR(open("kind = 'arrays'\n"), "no 'file' says where the array is");
  EXPECT_ERROR(open(kTen + "limt = 3\n"), "set.toml:4: unknown key 'limt' (did you mean 'limit'?)");
  EXPECT_ERROR(open(kTen + "limit = 0\n"), "set.toml:4: 'limit' is 0, expected at least 1");
  EXPECT_ERROR(open(kTen + "root = 'r'\n"), "'root' is for kind = \"images\"");
  EXPECT_ERROR(open("kind = 'images'\nfile = 'x'\n"), "'file' is for kind = \"arrays\"");
  EXPECT_ERROR(open(kTen + "type = 'int4'\n"), "expected an element type of 8 bits or more");
  EXPECT_ERROR(open(kTen + "[preprocess]\nscael = 2\n"),
               "set.toml:5: unknown key 'scael' in [preprocess] (did you mean 'scale'?)");
  EXPECT_ERROR(open(kTen + "[preprocess]\nscale = 0\n"), "'scale' is 0");
  EXPECT_ERROR(open(kTen + "[preprocess]\nstd = [1, 0]\n"), "'std' holds a 0");
  EXPECT_ERROR(open(kTen + "[preprocess]\ncrop = 2\n"), "'crop' needs source_layout");
  EXPECT_ERROR(open(kTen + "[preprocess]\nmean = [1, 2]\n"), "several means need source_layout");
  EXPECT_ERROR(open(kTen + "[preprocess]\nsource_layout = 'nhwc'\ncrop = [1, 2, 3]\n"),
               "must be one number or [height, width]");
  EXPECT_ERROR(open(kTen + "[preprocess]\nsource_layout = 'nhwc'\nresize = 9\nfit = 'cover'\n"),
               "'fit' needs resize = [height, width]");
  EXPECT_ERROR(open("kind = 'images'\n[preprocess]\nsource_layout = 'nhwc'\n"),
               "'source_layout' is for arrays");
  EXPECT_ERROR(open("kind = 'images'\nclasses = 5\n"), "'classes' needs 'labels'");
  EXPECT_ERROR(open("kind = 'arrays'\nfeed = 'a'\n[[inputs]]\nfile = 'x.npy'\n"),
               "'feed' belongs into each of the [[inputs]]");
  EXPECT_ERROR(open("kind = 'arrays'\nfile = 'x.npy'\n[[inputs]]\n[[inputs]]\n"),
               "two inputs have the feed ''");
  EXPECT_ERROR(DataSet::open(at("none.toml")), "none.toml: cannot open: No such file");
}

TEST_F(DataSetTest, MistakesInTheArrays) {
  put_ten();
  EXPECT_ERROR(open("kind = 'arrays'\nfile = 'z.npy'\n"), "z.npy: cannot open: No such file");
  EXPECT_ERROR(open(kTen + "[preprocess]\nsource_layout = 'nhwc'\n"),
               "has 2 dimensions, but its source_layout has 4");
  put_npy("y.npy", Tensor::from<int64_t>({9}, std::vector<int64_t>(9)));
  EXPECT_ERROR(open(kTen), "shape [9], expected one label for each of the 10 samples");
  put_npy("y.npy", Tensor::from<float>({10}, std::vector<float>(10)));
  EXPECT_ERROR(open(kTen), "labels are float32, expected integers");
  put_npy("y.npy", Tensor::from<int64_t>({10}, {0, 0, -3, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_ERROR(open(kTen), "y.npy[2]: the label -3 is negative");
  put_npy("e.npy", Tensor::zeros(DType::kFloat32, {0, 2}));
  EXPECT_ERROR(open("kind = 'arrays'\nfile = 'e.npy'\n"), "the data set is empty");
  put_npy("s.npy", Tensor::scalar(1.0F));
  EXPECT_ERROR(open("kind = 'arrays'\nfile = 's.npy'\n"),
               "is a single number, expected one row per sample");
  EXPECT_ERROR(
      open("kind = 'arrays'\n[[inputs]]\nfile = 'x.npy'\n[[inputs]]\nfile = 'e.npy'\nfeed = 'b'\n"),
      "has 0 rows, but");
  put_npy("f.npy", Tensor::zeros(DType::kFloat32, {1, 4, 4, 3}));
  EXPECT_ERROR(
      open("kind = 'arrays'\nfile = 'f.npy'\n[preprocess]\nsource_layout = 'nhwc'\nresize = 2\n"),
      "resize and channels need uint8 pixels");
}

TEST_F(ImageSetTest, FolderInOrderOfNames) {
  for (const char* name : {"pics/b.png", "pics/a.PNG", "pics/c/a.png"})
    put(name, png_file(pattern(4, 3, 3)));
  put("pics/readme.txt", "x");
  const auto set = open("kind = 'images'\nroot = 'pics'\nfeed = 'image'\n");
  ASSERT_TRUE(set.ok()) << set.error().message();
  ASSERT_EQ(set->size(), 3);
  EXPECT_EQ(set->name(0), at("pics/a.PNG"));
  EXPECT_EQ(set->name(2), at("pics/c/a.png"));
  const Batch batch = *set->batch(0, 3);
  EXPECT_EQ(batch.feeds[0].name, "image");
  EXPECT_EQ(batch.feeds[0].value.dims(), (Dims{3, 3, 3, 4}));
  EXPECT_EQ(batch.feeds[0].value.data<float>()[1], 7);
}

TEST_F(ImageSetTest, CsvGivesFilesAndLabels) {
  put("a.png", png_file(pattern(4, 3, 3)));
  put("b, c.png", png_file(pattern(4, 3, 1)));
  const std::string toml = "kind = 'images'\nlabels = 'l.csv'\n";
  put("l.csv", "label,note,file\r\n 7,,a.png\r\n\r\n3,\"x \"\"y\"\"\",\"b, c.png\"\r\n");
  const auto set = open(toml);
  ASSERT_TRUE(set.ok()) << set.error().message();
  EXPECT_EQ(labels_of(*set), (std::vector<int64_t>{7, 3}));
  EXPECT_EQ(set->name(1), at("b, c.png"));
  put("l.csv", "file,label\na.png,x\n");
  EXPECT_ERROR(open(toml), "l.csv:2: the label 'x' is not a whole number");
  put("l.csv", "file,label\na.png\n");
  EXPECT_ERROR(open(toml), "l.csv:2: expected a file and a label, found 'a.png'");
  put("l.csv", "file,label\na.png,-1\n");
  EXPECT_ERROR(open(toml), "l.csv:2: the label -1 is negative");
  put("l.csv", "file,label\na.png,5\n");
  EXPECT_ERROR(open(toml + "classes = 5\n"), "l.csv:2: the label 5 is out of range");
  put("l.csv", "image,class\n");
  EXPECT_ERROR(open(toml), "l.csv:1: expected the header 'file,label', found 'image,class'");
  put("l.csv", "file,label\n\"a.png,1\n");
  EXPECT_ERROR(open(toml), "l.csv:2: a quote is not closed");
  put("l.csv", "file,label\n");
  EXPECT_ERROR(open(toml), "the data set is empty");
}

TEST_F(ImageSetTest, DamagedAndMissingImagesAreNamed) {
  put("pics/a.png", png_file(pattern(4, 3, 3)));
  put("pics/b.png", "no picture");
  const std::string toml = "kind = 'images'\nroot = 'pics'\n";
  EXPECT_ERROR(open(toml)->batch(0, 2), "pics/b.png: not a JPEG or PNG image");
  EXPECT_TRUE(open(toml)->get(0).ok());
  put("pics/b.png", png_file(pattern(5, 3, 3)));
  EXPECT_ERROR(open(toml)->batch(0, 2), "pics/b.png: shape [3, 3, 5] differs from that of ");
  put("l.csv", "file,label\ngone.png,1\n");
  EXPECT_ERROR(open("kind = 'images'\nlabels = 'l.csv'\n")->get(0), "gone.png: cannot open");
  fs::create_directories(at("empty"));
  EXPECT_ERROR(open("kind = 'images'\nroot = 'empty'\n"), "the data set is empty: no .jpg");
  EXPECT_ERROR(open("kind = 'images'\nroot = 'gone'\n"), "gone: cannot list the folder");
}

TEST_F(ImageSetTest, ThreadsDoNotChangeABatch) {
  for (int i = 0; i < 16; ++i) put(fmt::format("p/{:02}.png", i), png_file(pattern(9 + i, 8, 3)));
  const auto set = open("kind = 'images'\nroot = 'p'\n[preprocess]\nresize = [7, 7]\n");
  const int before = num_threads();
  set_threads(1);
  const Batch one = *set->batch(0, 16);
  set_threads(4);
  const Batch four = *set->batch(0, 16);
  set_threads(before);
  EXPECT_TRUE(one.feeds[0].value.identical(four.feeds[0].value));
}

// The sets that development uses; their format is the reference.
TEST(SharedDataSets, AllOpen) {
  const fs::path folder = fs::path(FEWBIT_SOURCE_DIR) / ".." / "shared" / "data";
  if (!fs::exists(folder)) GTEST_SKIP() << "no ../shared/data beside the sources";
  int sets = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".toml") continue;
    const auto set = DataSet::open(entry.path().string());
    ASSERT_TRUE(set.ok()) << set.error().message();
    const auto batch = set->batch(0, 2);
    ASSERT_TRUE(batch.ok()) << batch.error().message();
    EXPECT_EQ(batch->feeds[0].value.rank(), 4);
    ++sets;
  }
  EXPECT_GT(sets, 0);
}

}  // namespace
}  // namespace fewbit
