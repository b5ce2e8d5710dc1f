#pragma once

#include <memory>
#include <string>

#include "attend/text/tokenizer.h"

namespace attend::text {

// One JSON file a tokenizer: kind, normalisation, pieces and what the kind adds to them. Loading gives back a tokenizer that does
// exactly the same. The file is written whole or not at all (SystemError); whatever does not hold together when loading is a UserError.
void SaveTokenizer(const Tokenizer& tokenizer, const std::string& path);
std::shared_ptr<const Tokenizer> LoadTokenizer(const std::string& path);

}  // namespace attend::text
