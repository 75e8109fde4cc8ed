// The one place where errors become an exit code: 0 done, 1 the input or the run failed, 2 usage.
#ifndef STOCHA_CLI_RUN_MAIN_H_
#define STOCHA_CLI_RUN_MAIN_H_

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <new>

#include "stocha/base/error.h"

namespace stocha {

// Parses the command line, then runs what the chosen subcommand stored in `run`. An error is one
// line on stderr, "PROGRAM: error: MESSAGE".
inline int RunMain(CLI::App& app, const std::function<void()>& run, int argc, char** argv) {
  const auto fail = [&app](const char* message, int code) {
    std::fprintf(stderr, "%s: error: %s\n", app.get_name().c_str(), message);
    return code;
  };
  // A file-size limit (ulimit -f) then fails the write, as a full disk does.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    app.parse(argc, argv);
    if (run) run();
    if (std::fflush(stdout) != 0) return fail("standard output: cannot write", 1);
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);  // --help, --version
      return 0;
    }
    return fail((Printable(error.what()) + "; see " + app.get_name() + " --help").c_str(), 2);
  } catch (const UsageError& error) {
    return fail(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return fail("out of memory; use a smaller model or batch", 1);
  } catch (const std::exception& error) {
    return fail(Printable(error.what(), 2000).c_str(), 1);
  }
}

}  // namespace stocha

#endif  // STOCHA_CLI_RUN_MAIN_H_
