#!/bin/bash
# tools/tidy.sh [--all]: clang-tidy over the torch-free sources; with --all over every source (torch's take about half a minute each).
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset lint >/dev/null
skip='^attend/(ops|nn|models|train|tasks)/'
[ "${1:-}" != --all ] || skip='^$'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
find attend -name '*.cc' | { grep -Ev "$skip" || true; } | sort |
  xargs -r -n 1 -P "$(nproc)" clang-tidy-16 -p build-lint --quiet >"$log" 2>&1 || status=1
grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed ' "$log" || true
exit $status
