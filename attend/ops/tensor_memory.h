#pragma once

namespace attend::ops {

// From now on large tensors of this process lie in a BlockCache. For programs, at their start: a library leaves the process alone.
void KeepTensorMemory();

}  // namespace attend::ops
