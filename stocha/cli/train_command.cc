// stocha train: hands over to stocha-train, which stands beside this executable and links LibTorch.
#include "stocha/cli/command.h"
#include "stocha/cli/trainer_program.h"

namespace stocha {

void AddTrainCommand(CLI::App& app, Run& run) {
  CLI::App* sub = app.add_subcommand("train", "Train a model as a recipe says");
  // Every argument, --help included, is stocha-train's to understand.
  sub->prefix_command();
  sub->set_help_flag();
  sub->callback([sub, &run] { run = [sub] { HandOverToTrainer(sub->remaining()); }; });
}

}  // namespace stocha
