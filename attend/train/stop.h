#pragma once

namespace attend::train {

// While one lives, SIGINT and SIGTERM ask for a stop instead of ending the program; a second one ends it at once (exit status 128 + n).
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  static int signal();  // the signal that asked, or 0
};

}  // namespace attend::train
