#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attend/data/safetensors.h"

namespace attend::data {

// Reads the JSON header of a safetensors file whose data are `data`: each tensor's bytes become a part of `data`. Everything is checked;
// false, with one line in `fault`, when the header is not one or does not describe exactly these data.
bool ParseHeader(std::string_view header, std::string_view data, std::map<std::string, Tensor>& tensors, Metadata& metadata,
                 std::string& fault);

// The header of tensors laid out in this order without gaps.
std::string FormatHeader(const std::vector<const std::pair<const std::string, Tensor>*>& order, const Metadata& metadata);

}  // namespace attend::data
