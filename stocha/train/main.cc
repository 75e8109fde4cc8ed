// stocha-train: what `stocha train` hands over to, and the benchmark of the activation.
#include "stocha/cli/run_main.h"
#include "stocha/train/commands.h"

int main(int argc, char** argv) {
  CLI::App app("Train a model as a recipe says.", "stocha-train");
  app.set_version_flag("--version", STOCHA_VERSION);
  app.require_subcommand(0, 1);
  stocha::Run run;
  stocha::AddTraining(app, run);
  stocha::AddBenchActivationCommand(app, run);
  stocha::AddProfileCommand(app, run);
  return stocha::RunMain(app, [&run] { run(); }, argc, argv);
}
