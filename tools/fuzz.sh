#!/bin/bash
# tools/fuzz.sh SECONDS: builds every fuzzer of tests/fuzz and runs each that long, as many at once as there are processors. What they
# learn stays in build-sanitize/corpus; an input that fails is left in build-sanitize/found and named.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh sanitize
mkdir -p build-sanitize/found
ASAN_SYMBOLIZER_PATH=$(command -v llvm-symbolizer || command -v addr2line)
export ASAN_SYMBOLIZER_PATH

run() {  # SECONDS NAME
  seeds=tests/fuzz/seeds/$2
  log=build-sanitize/$2.log
  mkdir -p "build-sanitize/corpus/$2"
  if "build-sanitize/$2" -max_total_time="$1" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="build-sanitize/found/$2-" \
    "build-sanitize/corpus/$2" $([ ! -d "$seeds" ] || echo "$seeds") >"$log" 2>&1; then
    echo "fuzz $2: passed, $(grep -o 'Done [0-9]* runs' "$log" | grep -o '[0-9]*') inputs"
  else
    tail -60 "$log"
    echo "fuzz $2: failed"
    return 1
  fi
}
export -f run
for source in tests/fuzz/*_fuzz.cc; do
  basename "$source" .cc
done | xargs -r -n 1 -P "$(nproc)" bash -c 'run "$0" "$1"' "$1"
