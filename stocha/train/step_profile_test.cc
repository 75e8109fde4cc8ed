// Which part of a step a moment counts for, on steps of a few thousand weights.
#include "stocha/train/step_profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>

#include "stocha/train/tiny_run.h"

namespace stocha {
namespace {

class StepProfileTest : public TinyRunTest {};

// All 0 when the profile does not have it.
PartTime Part(const StepProfile& profile, const std::string& name) {
  const auto found = std::find_if(profile.parts.begin(), profile.parts.end(),
                                  [&](const PartTime& part) { return part.part == name; });
  return found == profile.parts.end() ? PartTime{} : *found;
}

TEST_F(StepProfileTest, NamesEveryPartOnceAndAddsUp) {
  Recipe recipe = TinyRecipe();
  recipe.compute_type = ComputeType::kBF16;
  const StepProfile profile = ProfileStep(recipe, 2);
  std::set<std::string> names;
  double sum = 0;
  for (const PartTime& part : profile.parts) {
    EXPECT_TRUE(names.insert(part.part).second) << part.part;
    EXPECT_GE(part.forward_ms, 0);
    EXPECT_GE(part.backward_ms, 0);
    sum += part.forward_ms + part.backward_ms;
  }
  EXPECT_NEAR(sum, profile.step_ms, 1e-9 * sum);
  EXPECT_EQ(profile.tokens_per_step, 32);
  const std::set<std::string> expected = {"matrix products", "attention", "norms",     "rotary",
                                          "activation",      "loss",      "optimizer", "rest"};
  EXPECT_TRUE(std::includes(names.begin(), names.end(), expected.begin(), expected.end()));
  EXPECT_TRUE(std::is_sorted(profile.parts.begin(), profile.parts.end(),
                             [](const PartTime& a, const PartTime& b) {
                               return a.forward_ms + a.backward_ms > b.forward_ms + b.backward_ms;
                             }));
}

TEST_F(StepProfileTest, TheBackwardPassOfAnOpCountsForIt) {
  const StepProfile profile = ProfileStep(TinyRecipe(), 2);
  for (const char* name : {"matrix products", "attention", "norms", "rotary", "activation"}) {
    EXPECT_GT(Part(profile, name).forward_ms, 0) << name;
    EXPECT_GT(Part(profile, name).backward_ms, 0) << name;
  }
  EXPECT_EQ(Part(profile, "optimizer").backward_ms, 0);
}

TEST_F(StepProfileTest, IsOneStepsTimeWhateverTheirNumber) {
  const auto start = std::chrono::steady_clock::now();
  const StepProfile profile = ProfileStep(TinyRecipe(), 20);
  const std::chrono::duration<double, std::milli> all = std::chrono::steady_clock::now() - start;
  EXPECT_LT(20 * profile.step_ms, all.count());
}

}  // namespace
}  // namespace stocha
