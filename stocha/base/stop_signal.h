// Ctrl-C and SIGTERM as a question that a loop asks: the first asks to stop, a second kills at
// once (an echo of the first, within 0.2 s, does not count).
#ifndef STOCHA_BASE_STOP_SIGNAL_H_
#define STOCHA_BASE_STOP_SIGNAL_H_

#include <csignal>

namespace stocha {

// Handles both signals from construction to destruction. One at a time in a process.
class StopSignal {
 public:
  // `message` is written to stderr, whole, when the first signal arrives; it must outlive this.
  explicit StopSignal(const char* message);
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool requested() const;

 private:
  struct sigaction old_interrupt_{};
  struct sigaction old_terminate_{};
};

}  // namespace stocha

#endif  // STOCHA_BASE_STOP_SIGNAL_H_
