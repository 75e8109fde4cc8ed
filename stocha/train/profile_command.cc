// stocha-train profile: where the time of a step of a recipe goes.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "stocha/train/commands.h"
#include "stocha/train/dry_run.h"
#include "stocha/train/step_profile.h"
#include "stocha/train/torch_setup.h"

namespace stocha {
namespace {

struct ProfileFlags {
  std::string recipe;
  std::vector<std::string> overrides;
  int64_t steps = 10;
};

void ProfileCommand(const ProfileFlags& flags) {
  std::string note;
  const Recipe recipe = CompleteRecipe(ReadRecipe(flags.recipe, flags.overrides), &note);
  StepProfile profile;
  try {
    SetUpTorch(recipe);
    profile = ProfileStep(recipe, flags.steps);
  } catch (const c10::Error& error) {
    ThrowTorchError(error);
  }
  std::printf("| part | forward, ms | backward, ms | share of the step, %% |\n|---|---|---|---|\n");
  double forward = 0;
  double backward = 0;
  for (const PartTime& part : profile.parts) {
    std::printf("| %s | %.1f | %.1f | %.1f |\n", part.part.c_str(), part.forward_ms,
                part.backward_ms, 100 * (part.forward_ms + part.backward_ms) / profile.step_ms);
    forward += part.forward_ms;
    backward += part.backward_ms;
  }
  std::printf("| all: %.0f tokens/s | %.1f | %.1f | 100 |\n",
              1e3 * static_cast<double>(profile.tokens_per_step) / profile.step_ms, forward,
              backward);
}

}  // namespace

void AddProfileCommand(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<ProfileFlags>();
  CLI::App* sub = app.add_subcommand("profile", "Time the parts of a recipe's step");
  sub->add_option("RECIPE", flags->recipe, "A recipe; its data may still be missing")->required();
  sub->add_option("--set", flags->overrides, "Override one key, e.g. --set training.batch_size=4")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  sub->add_option("--steps", flags->steps, "Steps that are timed")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  sub->footer("Example:\n  stocha-train profile recipes/demo.toml --set model.vocab_size=4096");
  sub->callback([&run, flags] { run = [flags] { ProfileCommand(*flags); }; });
}

}  // namespace stocha
