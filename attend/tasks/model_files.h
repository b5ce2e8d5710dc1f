#pragma once

#include <memory>

#include "attend/models/sequence_model.h"
#include "attend/tasks/options.h"
#include "attend/text/tokenizers.h"

namespace attend::tasks {

// A model of these options over these vocabularies, its parameters not yet set.
std::shared_ptr<models::SequenceModel> MakeModel(const RunOptions& options, const text::Tokenizers& tokenizers);

}  // namespace attend::tasks
