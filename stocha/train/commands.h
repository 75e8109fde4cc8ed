// What stocha-train's command line is made of; one file each, as in cli/command.h.
#ifndef STOCHA_TRAIN_COMMANDS_H_
#define STOCHA_TRAIN_COMMANDS_H_

#include <CLI/CLI.hpp>

#include "stocha/cli/command.h"

namespace stocha {

// The program itself: stocha-train RECIPE.toml. `run` trains when no subcommand takes its place.
void AddTraining(CLI::App& app, Run& run);
// stocha-train bench-activation.
void AddBenchActivationCommand(CLI::App& app, Run& run);
// stocha-train profile.
void AddProfileCommand(CLI::App& app, Run& run);

}  // namespace stocha

#endif  // STOCHA_TRAIN_COMMANDS_H_
