#!/bin/sh
# tools/fuzz.sh SECONDS: builds every fuzzer of tests/fuzz and runs each that long. What they learn stays in build-lint/corpus;
# an input that fails is left in build-lint/found and named.
set -eu
cd "$(dirname "$0")/.."
cmake --preset lint >/dev/null
cmake --build --preset lint
mkdir -p build-lint/found
status=0
for source in tests/fuzz/*_fuzz.cc; do
  [ -e "$source" ] || continue
  name=$(basename "$source" .cc)
  mkdir -p "build-lint/corpus/$name"
  seeds=tests/fuzz/seeds/$name
  log=build-lint/$name.log
  if "build-lint/$name" -max_total_time="$1" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="build-lint/found/$name-" \
    "build-lint/corpus/$name" $([ ! -d "$seeds" ] || echo "$seeds") >"$log" 2>&1; then
    echo "fuzz $name: passed, $(grep -o 'Done [0-9]* runs' "$log" | grep -o '[0-9]*') inputs"
  else
    tail -60 "$log"
    echo "fuzz $name: failed"
    status=1
  fi
done
exit $status
