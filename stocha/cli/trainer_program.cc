#include "stocha/cli/trainer_program.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "stocha/base/error.h"

namespace stocha {

std::filesystem::path ThisProgram() { return std::filesystem::canonical("/proc/self/exe"); }

std::filesystem::path TrainerProgram() { return ThisProgram().parent_path() / "stocha-train"; }

void LetThreadsSleep() { setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0); }

void HandOverToTrainer(std::vector<std::string> arguments) {
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

}  // namespace stocha
