#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "attend/base/heap.h"
#include "attend/cli/command.h"
#include "attend/cli/text_io.h"
#include "attend/config/names.h"

namespace attend::cli {
namespace {

struct Entry {
  std::string name;
  std::string_view help;
  int (*run)(Arguments);
};

const std::vector<Entry>& Entries() {
  static const std::vector<Entry> kEntries = {
#define ATTEND_COMMAND(name, help) {#name, help, commands::name},
#include "attend/cli/commands.def"
#undef ATTEND_COMMAND
  };
  return kEntries;
}

void Usage(std::ostream& out) {
  out << "attend: trains, explains and serves attention models for sequences\n\nUsage: attend COMMAND ...\n\n";
  for (const Entry& e : Entries()) out << "  " << e.name << std::string(14 - e.name.size(), ' ') << e.help << "\n";
  out << "\n`attend COMMAND --help` says more. A translator from two aligned text files:\n\n"
         "  attend train --task translate --data.train.source text.de --data.train.target text.en --out model\n"
         "  attend predict model < new.de\n"
         "  attend show model --text \"ein Satz\" --out report.html\n";
}

int Main(const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    Usage(words.empty() ? std::cerr : std::cout);
    return words.empty() ? 2 : 0;
  }
  const std::string name = words[0] == "--version" ? "version" : words[0];
  std::vector<std::string> names;
  for (const Entry& e : Entries()) {
    if (e.name == name) return e.run(Arguments(words).subspan(1));
    names.push_back(e.name);
  }
  std::string list;
  for (const std::string& n : names) list += (list.empty() ? "" : ", ") + n;
  throw UserError("command", "one of " + list, name + config::DidYouMean(name, names));
}

}  // namespace
}  // namespace attend::cli

int main(int argc, char** argv) {
  attend::KeepFreedMemory();
  try {
    const int status = attend::cli::Main(std::vector<std::string>(argv + 1, argv + argc));
    attend::cli::FlushOutput();
    return status;
  } catch (const attend::Error& e) {
    std::cerr << "attend: " << e.what() << "\n";
    return e.status();
  } catch (const std::bad_alloc&) {
    std::cerr << "attend: [memory] expected enough memory; found none left\n";
    return 1;
  } catch (const std::exception& e) {
    std::cerr << "attend: [internal] " << e.what() << "\n";
    return 1;
  }
}
