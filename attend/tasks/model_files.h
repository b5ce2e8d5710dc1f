#pragma once

#include <memory>
#include <string>

#include "attend/data/model_directory.h"
#include "attend/models/sequence_model.h"
#include "attend/tasks/options.h"
#include "attend/text/tokenizers.h"

namespace attend::tasks {

// The options in a model directory's config.yaml. UserError: not a model, or of another version.
RunOptions ReadConfig(const data::ModelDirectory& directory);

// A model of these options over these vocabularies, its parameters at their first values.
std::shared_ptr<models::SequenceModel> MakeModel(const RunOptions& options, const text::Tokenizers& tokenizers);

}  // namespace attend::tasks
