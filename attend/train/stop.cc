#include "attend/train/stop.h"

#include <signal.h>
#include <unistd.h>

namespace attend::train {
namespace {

// A signal handler can reach nothing but a global.
volatile sig_atomic_t asked = 0;
struct sigaction previous_interrupt, previous_terminate;

void Handle(int signal) {
  if (asked) _exit(128 + signal);
  asked = signal;
  static constexpr char kNote[] = "\nstopping after this update; once more stops at once\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kNote, sizeof kNote - 1);
}

}  // namespace

StopRequest::StopRequest() {
  asked = 0;
  struct sigaction action {};
  action.sa_handler = Handle;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &previous_interrupt);
  sigaction(SIGTERM, &action, &previous_terminate);
}

StopRequest::~StopRequest() {
  sigaction(SIGINT, &previous_interrupt, nullptr);
  sigaction(SIGTERM, &previous_terminate, nullptr);
}

int StopRequest::signal() { return asked; }

}  // namespace attend::train
