// stocha-train: what `stocha train` hands over to, and the benchmark of the activation.
#include <malloc.h>

#include "stocha/cli/run_main.h"
#include "stocha/train/commands.h"

namespace {

// A step allocates and frees the same large tensors again and again. By default glibc gives each
// back to the kernel, which zeroes its pages anew: a twentieth of a step.
void KeepFreedMemory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);  // never
#endif
}

}  // namespace

int main(int argc, char** argv) {
  KeepFreedMemory();
  CLI::App app("Train a model as a recipe says.", "stocha-train");
  app.set_version_flag("--version", STOCHA_VERSION);
  app.require_subcommand(0, 1);
  stocha::Run run;
  stocha::AddTraining(app, run);
  stocha::AddBenchActivationCommand(app, run);
  stocha::AddProfileCommand(app, run);
  return stocha::RunMain(app, [&run] { run(); }, argc, argv);
}
