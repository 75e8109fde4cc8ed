#include "stocha/base/stop_signal.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace stocha {
namespace {

// All that a signal handler may touch.
volatile std::sig_atomic_t g_requested = 0;
const char* g_message = nullptr;

void Handle(int signal_number) {
  if (g_requested != 0) {
    std::signal(signal_number, SIG_DFL);
    std::raise(signal_number);
    return;
  }
  g_requested = 1;
  const int saved_errno = errno;
  const ssize_t ignored = write(STDERR_FILENO, g_message, std::strlen(g_message));
  static_cast<void>(ignored);
  errno = saved_errno;
}

}  // namespace

StopSignal::StopSignal(const char* message) {
  g_requested = 0;
  g_message = message;
  struct sigaction action{};
  action.sa_handler = Handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_interrupt_);
  sigaction(SIGTERM, &action, &old_terminate_);
}

StopSignal::~StopSignal() {
  sigaction(SIGINT, &old_interrupt_, nullptr);
  sigaction(SIGTERM, &old_terminate_, nullptr);
}

bool StopSignal::requested() const { return g_requested != 0; }

}  // namespace stocha
