#include "kernels/isa.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace fewbit {
namespace {

class IsaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* old = std::getenv("FEWBIT_ISA");
    if (old != nullptr) old_ = old;
    unsetenv("FEWBIT_ISA");
  }
  void TearDown() override {
    unsetenv("FEWBIT_ISA");
    if (!old_.empty()) setenv("FEWBIT_ISA", old_.c_str(), 1);
  }
  std::string old_;
};

TEST_F(IsaTest, NamesRoundTrip) {
  for (Isa isa : kAllIsas) EXPECT_EQ(isa_from_name(name_of(isa)), isa);
  EXPECT_FALSE(isa_from_name("sse9"));
}

TEST_F(IsaTest, DefaultRunsHere) {
  const Result<Isa> isa = selected_isa();
  ASSERT_TRUE(isa.ok());
  EXPECT_TRUE(isa_runs_here(*isa));
  std::string here, elsewhere;
  for (Isa i : kAllIsas) (isa_runs_here(i) ? here : elsewhere) += fmt::format(" {}", name_of(i));
  fmt::print("isa: native{}; not run{}\n", here, elsewhere);
}

TEST_F(IsaTest, ForcedScalarIsObeyed) {
  setenv("FEWBIT_ISA", "scalar", 1);
  const Result<Isa> isa = selected_isa();
  ASSERT_TRUE(isa.ok());
  EXPECT_EQ(*isa, Isa::kScalar);
}

TEST_F(IsaTest, UnknownAndUnavailableAreErrors) {
  setenv("FEWBIT_ISA", "sse9", 1);
  const Result<Isa> unknown = selected_isa();
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message().find("sse9"), std::string::npos);
  for (Isa isa : kAllIsas) {
    if (isa_runs_here(isa)) continue;
    setenv("FEWBIT_ISA", std::string(name_of(isa)).c_str(), 1);
    EXPECT_FALSE(selected_isa().ok()) << name_of(isa);
  }
}

}  // namespace
}  // namespace fewbit
