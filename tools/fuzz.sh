#!/bin/sh
# tools/fuzz.sh SECONDS: builds every fuzzer of tests/fuzz and runs each that long. What they learn stays in build-sanitize/corpus;
# an input that fails is left in build-sanitize/found and named.
set -eu
cd "$(dirname "$0")/.."
tools/build.sh sanitize
mkdir -p build-sanitize/found
status=0
for source in tests/fuzz/*_fuzz.cc; do
  [ -e "$source" ] || continue
  name=$(basename "$source" .cc)
  mkdir -p "build-sanitize/corpus/$name"
  seeds=tests/fuzz/seeds/$name
  log=build-sanitize/$name.log
  if "build-sanitize/$name" -max_total_time="$1" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="build-sanitize/found/$name-" \
    "build-sanitize/corpus/$name" $([ ! -d "$seeds" ] || echo "$seeds") >"$log" 2>&1; then
    echo "fuzz $name: passed, $(grep -o 'Done [0-9]* runs' "$log" | grep -o '[0-9]*') inputs"
  else
    tail -60 "$log"
    echo "fuzz $name: failed"
    status=1
  fi
done
exit $status
