// stocha: the one user-facing command. Each subcommand lives in a file of its own.
#include "stocha/cli/command.h"
#include "stocha/cli/run_main.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Train language models with a stochastic activation, end with ReLU, run only the "
      "neurons that fire.",
      "stocha");
  app.set_version_flag("--version", STOCHA_VERSION);
  app.require_subcommand(1);
  stocha::Run run;
  stocha::AddTokenizeCommand(app, run);
  stocha::AddTrainCommand(app, run);
  stocha::AddRelufyCommand(app, run);
  stocha::AddExperimentCommand(app, run);
  stocha::AddGenerateCommand(app, run);
  stocha::AddChatCommand(app, run);
  stocha::AddConverseCommand(app, run);
  stocha::AddEvalCommand(app, run);
  stocha::AddInspectCommand(app, run);
  stocha::AddReportCommand(app, run);
  stocha::AddBenchCommand(app, run);
  stocha::AddQuantizeCommand(app, run);
  stocha::AddCalibrateCommand(app, run);
  stocha::AddConvertCommand(app, run);
  stocha::AddEncodeCommand(app, run);
  stocha::AddDecodeCommand(app, run);
  stocha::AddLogitsCommand(app, run);
  return stocha::RunMain(app, run, argc, argv);
}
