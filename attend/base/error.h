#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace attend {

// Every failure that a user can meet. The program prints `attend: ` and what() as one line and exits with status().
class Error : public std::runtime_error {
 public:
  int status() const { return status_; }

 protected:
  Error(int status, const std::string& line) : std::runtime_error(line), status_(status) {}

 private:
  int status_;
};

// The user's mistake: a wrong option, a bad file. Exit status 2.
class UserError : public Error {
 public:
  explicit UserError(const std::string& line) : Error(2, line) {}
  // "[part] expected …; found …"
  UserError(std::string_view part, std::string_view expected, std::string_view found)
      : Error(2, "[" + std::string(part) + "] expected " + std::string(expected) + "; found " + std::string(found)) {}
};

// The surroundings failed: disk full, out of memory. Exit status 1.
class SystemError : public Error {
 public:
  explicit SystemError(const std::string& line) : Error(1, line) {}
};

}  // namespace attend
