// stocha train: hands over to stocha-train, which stands beside this executable and links LibTorch.
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "stocha/base/error.h"
#include "stocha/cli/command.h"
#include "stocha/cli/trainer_program.h"

namespace stocha {
namespace {

[[noreturn]] void HandOver(std::vector<std::string> arguments) {
  const std::filesystem::path program = TrainerProgram();
  arguments.insert(arguments.begin(), program.string());
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  LetThreadsSleep();
  execv(program.c_str(), argv.data());
  throw Error({.where = program.string(),
               .what = "cannot run the trainer: " + ErrnoMessage(errno),
               .hint = "build with -DSTOCHA_TRAIN=ON (scripts/setup does)"});
}

}  // namespace

void AddTrainCommand(CLI::App& app, Run& run) {
  CLI::App* sub = app.add_subcommand("train", "Train a model as a recipe says");
  // Every argument, --help included, is stocha-train's to understand.
  sub->prefix_command();
  sub->set_help_flag();
  sub->callback([sub, &run] { run = [sub] { HandOver(sub->remaining()); }; });
}

}  // namespace stocha
