// Another program, run to its end.
#ifndef STOCHA_EXPERIMENT_CHILD_PROCESS_H_
#define STOCHA_EXPERIMENT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace stocha {

// Ctrl-C of the terminal does not reach it: whoever started it asks it to stop. It is asked to stop
// as well when this process dies.
class ChildProcess {
 public:
  // arguments[0] is the program's path. What it prints is appended to `log`. Throws Error when it
  // cannot be started; call from a process with one thread.
  ChildProcess(const std::vector<std::string>& arguments, const std::filesystem::path& log);
  // Kills it when it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Its exit status, 128 + the signal that killed it, or none while it runs, for which this waits
  // `seconds` at most.
  std::optional<int> Wait(double seconds);
  struct Ending {
    int exit_code = 0;
    bool stopped = false;  // it was asked to
  };
  // Waits for its end; asks it to stop when `stop_requested` (may be empty), asked several times a
  // second, says so.
  Ending WaitOrStop(const std::function<bool()>& stop_requested);
  // SIGTERM.
  void AskToStop() const;

 private:
  pid_t pid_ = -1;  // -1: it has ended
};

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_CHILD_PROCESS_H_
