#pragma once

#include <climits>  // also tells which C library this is

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace attend {

// Keeps memory that is freed for the next that is asked for. By its defaults glibc returns large blocks to the system at once, which then
// hands out zeroed pages again, one page fault each: with tensors a quarter of the time of training a small Transformer. One heap for all
// threads, since those of other threads than the first give back whatever their last page does not need. Large tensors lie elsewhere
// (ops/tensor_memory.h): of blocks of ever other sizes a heap keeps more than twice what is in use. For programs, at their start: a
// library leaves the process alone.
inline void KeepFreedMemory() {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
#endif
}

}  // namespace attend
