#include "attend/tasks/model_files.h"

namespace attend::tasks {

std::shared_ptr<models::SequenceModel> MakeModel(const RunOptions& options, const text::Tokenizers& tokenizers) {
  const models::VocabularySizes sizes{tokenizers.source->size(), tokenizers.target->size(), text::kPad, text::kBos, tokenizers.shared()};
  return std::make_shared<models::SequenceModel>(options.model, sizes);
}

}  // namespace attend::tasks
