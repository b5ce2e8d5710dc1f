#pragma once

#include <string>

namespace attend::metrics {

// The sacreBLEU whose BLEU and chrF these are: same arithmetic, same tokenisers, same signature strings (Post 2018).
inline constexpr char kSacrebleuVersion[] = "2.6.0";

inline const char* YesNo(bool value) { return value ? "yes" : "no"; }

// "nrefs:1|case:mixed|…|version:2.6.0" around a metric's own fields, e.g. "case:mixed|eff:no|tok:13a|smooth:exp".
inline std::string Signature(int references, const std::string& fields) {
  return "nrefs:" + std::to_string(references) + "|" + fields + "|version:" + kSacrebleuVersion;
}

}  // namespace attend::metrics
