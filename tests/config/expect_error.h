#pragma once

#include <gtest/gtest.h>

#include <string>

#include "attend/base/error.h"

namespace attend::config {

// The line of the UserError that `call` throws.
template <class Call>
std::string ErrorOf(Call call) {
  try {
    call();
  } catch (const UserError& e) {
    const std::string line = e.what();
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    return line;
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace attend::config
