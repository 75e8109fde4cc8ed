#include "stocha/experiment/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

#include "stocha/base/error.h"

namespace stocha {
namespace {

constexpr int kCannotRun = 127;  // as a shell says it
constexpr std::chrono::milliseconds kPoll{50};

// Between fork and exec; async-signal-safe calls alone.
[[noreturn]] void Become(char* const* argv, int log, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kCannotRun);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(null, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(argv[0], argv);
  _exit(kCannotRun);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments,
                           const std::filesystem::path& log) {
  std::vector<std::string> copies = arguments;
  std::vector<char*> argv;
  argv.reserve(copies.size() + 1);
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  if (access(argv[0], X_OK) != 0) {
    throw Error({.where = copies[0],
                 .what = "cannot run it: " + ErrnoMessage(errno),
                 .hint = "build with -DSTOCHA_TRAIN=ON (scripts/setup does)"});
  }
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    throw Error({.where = log.string(), .what = "cannot write: " + ErrnoMessage(errno)});
  }
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) Become(argv.data(), fd, parent);
  const int error = errno;
  close(fd);
  if (pid_ < 0) throw Error({.where = copies[0], .what = "no process: " + ErrnoMessage(error)});
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::optional<int> ChildProcess::Wait(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(pid_, &status, WNOHANG);
    if (ended == pid_) {
      pid_ = -1;
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    if (std::chrono::steady_clock::now() >= end) return std::nullopt;
    std::this_thread::sleep_for(kPoll);
  }
}

ChildProcess::Ending ChildProcess::WaitOrStop(const std::function<bool()>& stop_requested) {
  constexpr double kLookSeconds = 0.2;
  Ending ending;
  std::optional<int> exit_code;
  while (!(exit_code = Wait(kLookSeconds))) {
    if (ending.stopped || !stop_requested || !stop_requested()) continue;
    ending.stopped = true;
    AskToStop();
  }
  ending.exit_code = *exit_code;
  return ending;
}

void ChildProcess::AskToStop() const {
  if (pid_ > 0) kill(pid_, SIGTERM);
}

}  // namespace stocha
