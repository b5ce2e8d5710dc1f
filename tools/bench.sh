#!/bin/bash
# tools/bench.sh [NAME...]: runs the benchmarks bench/NAME_bench.cc and bench/NAME.py (all without a name), one after the other. Each
# validates before it times, and leaves docs/results/NAME.json.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
for source in bench/*_bench.cc bench/*.py; do
  [ -e "$source" ] || continue
  name=$(basename "$source")
  name=${name%_bench.cc} name=${name%.py}
  if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qx "$name"; then
    continue
  fi
  echo "== $name"
  if [[ $source == *.py ]]; then
    .venv/bin/python "$source" || status=1
  else
    "build/${name}_bench" || status=1
  fi
done
exit $status
