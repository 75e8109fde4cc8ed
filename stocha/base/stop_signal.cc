#include "stocha/base/stop_signal.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>

namespace stocha {
namespace {

// timeout(1) and the like signal a process and then its group, so that it gets one request twice.
constexpr int64_t kEchoNanoseconds = 200'000'000;

// All that a signal handler may touch.
volatile std::sig_atomic_t g_requested = 0;
std::atomic<int64_t> g_requested_at = 0;
const char* g_message = nullptr;

int64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

void Handle(int signal_number) {
  if (g_requested != 0) {
    if (Now() - g_requested_at < kEchoNanoseconds) return;
    std::signal(signal_number, SIG_DFL);
    std::raise(signal_number);
    return;
  }
  g_requested = 1;
  g_requested_at = Now();
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
