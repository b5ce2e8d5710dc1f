#pragma once

#include "attend/config/source.h"
#include "attend/config/type.h"

namespace attend::config {

// The source's file tree with its overrides laid over it in order. The types tell what a path means: shorthands become maps,
// single values become lists, and a list that the file leaves to its default is written out before an element is set.
// Setting another `kind` drops what the file says about the old one; what flags say is kept, to fit or to be an error.
// `value` holds the defaults.
Node Lay(const Type& root, const void* value, const Source& source);

}  // namespace attend::config
