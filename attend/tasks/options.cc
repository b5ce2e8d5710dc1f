#include "attend/tasks/options.h"

#include "attend/config/options.h"

namespace attend::tasks {

RunOptions ReadRunOptions(const config::Source& source) {
  const std::string init = source.Peek("train.init").value_or("");
  RunOptions options;
  if (!init.empty()) {
    const data::ModelDirectory directory{Path(init)};
    directory.ExpectModel("train.init");
    const RunOptions first = ReadConfig(directory);
    options.text = first.text;
    options.model = first.model;
  }
  return config::Read(source, std::move(options));
}

RunOptions ReadConfig(const data::ModelDirectory& directory) {
  return config::Read<RunOptions>(config::Source::FromFile(directory.config().string()));
}

std::string List(const std::vector<config::Difference>& differences) {
  std::string out;
  for (const config::Difference& d : differences) out += (out.empty() ? "" : ", ") + d.path + " " + d.a + " -> " + d.b;
  return out;
}

}  // namespace attend::tasks
