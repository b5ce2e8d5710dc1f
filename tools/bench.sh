#!/bin/bash
# tools/bench.sh [NAME [ARGUMENT...]]: runs the benchmarks bench/NAME_bench.cc and bench/NAME.py: the one named, or all of speed
# (minutes) without a name; those of quality (bench/quality, up to an hour a run) only by name. Each validates before it times, and
# leaves docs/results/NAME.json.
set -euo pipefail
cd "$(dirname "$0")/.."
run() {
  echo "== $1"
  if [ -e "bench/$1.py" ]; then
    .venv/bin/python "bench/$1.py" "${@:2}"
  else
    "build/${1}_bench" "${@:2}"
  fi
}
if [ $# -gt 0 ]; then
  run "$@"
  exit
fi
status=0
for source in bench/*_bench.cc bench/*_speed.py; do
  [ -e "$source" ] || continue
  name=$(basename "$source")
  name=${name%_bench.cc}
  run "${name%.py}" || status=1
done
exit $status
