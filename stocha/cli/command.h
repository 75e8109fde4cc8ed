// What a command file provides: a function that adds a subcommand to the parser. Flags are bound to
// a struct kept alive by the callback; the callback runs after the whole command line parsed.
#ifndef STOCHA_CLI_COMMAND_H_
#define STOCHA_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>

namespace stocha {

// Set by the chosen subcommand while parsing; main runs it inside the one try block.
using Run = std::function<void()>;

void AddTokenizeCommand(CLI::App& app, Run& run);
void AddTrainCommand(CLI::App& app, Run& run);
void AddRelufyCommand(CLI::App& app, Run& run);
void AddExperimentCommand(CLI::App& app, Run& run);
void AddGenerateCommand(CLI::App& app, Run& run);
void AddChatCommand(CLI::App& app, Run& run);
void AddConverseCommand(CLI::App& app, Run& run);
void AddEvalCommand(CLI::App& app, Run& run);
void AddInspectCommand(CLI::App& app, Run& run);
void AddReportCommand(CLI::App& app, Run& run);
void AddBenchCommand(CLI::App& app, Run& run);
void AddQuantizeCommand(CLI::App& app, Run& run);
void AddCalibrateCommand(CLI::App& app, Run& run);
void AddConvertCommand(CLI::App& app, Run& run);
void AddEncodeCommand(CLI::App& app, Run& run);
void AddDecodeCommand(CLI::App& app, Run& run);
void AddLogitsCommand(CLI::App& app, Run& run);

}  // namespace stocha

#endif  // STOCHA_CLI_COMMAND_H_
