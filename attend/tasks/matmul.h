#pragma once

#include <string>

#include "attend/train/options.h"

namespace attend::tasks {

// Chooses the fastest single-precision matrix products of this CPU that are exact, once per process, and says which: torch's own
// choice (MKL) refuses AVX-512 on CPUs that are not Intel's, where oneDNN does not; but on a CPU with AMX oneDNN's faster setting
// rounds its operands to bfloat16, which is not exact. Precision::bf16 rounds
// operands on every CPU alike (ops/products.h).
std::string ChooseMatrixProducts(train::Precision precision = train::Precision::fp32);

}  // namespace attend::tasks
