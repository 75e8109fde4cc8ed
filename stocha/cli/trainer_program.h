// stocha-train, which stands beside this executable and links LibTorch.
#ifndef STOCHA_CLI_TRAINER_PROGRAM_H_
#define STOCHA_CLI_TRAINER_PROGRAM_H_

#include <filesystem>
#include <string>
#include <vector>

namespace stocha {

std::filesystem::path ThisProgram();
std::filesystem::path TrainerProgram();

// Sets what programs started from here on find in their environment. libgomp reads it when it
// loads: by default its threads spin through milliseconds of waiting, and on a machine that is also
// busy with something else a step then takes several times as long.
void LetThreadsSleep();

// Becomes the trainer with these arguments. Throws Error when it cannot.
[[noreturn]] void HandOverToTrainer(std::vector<std::string> arguments);

}  // namespace stocha

#endif  // STOCHA_CLI_TRAINER_PROGRAM_H_
