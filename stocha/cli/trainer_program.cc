#include "stocha/cli/trainer_program.h"

#include <cstdlib>

namespace stocha {

std::filesystem::path ThisProgram() { return std::filesystem::canonical("/proc/self/exe"); }

std::filesystem::path TrainerProgram() { return ThisProgram().parent_path() / "stocha-train"; }

void LetThreadsSleep() { setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0); }

}  // namespace stocha
