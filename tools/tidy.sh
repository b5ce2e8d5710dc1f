#!/bin/bash
# tools/tidy.sh [--all]: clang-tidy over the torch-free sources; with --all over every source (torch's take minutes). The sources of a
# layer go in few pieces (CMake's unity builds), since most of a file's time would be spent on the headers that all of them include.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset lint >/dev/null
skip='/attend_(ops|nn|models|train|tasks)\.dir/|/generated/'
[ "${1:-}" != --all ] || skip='/generated/'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
tools/compilations.py build-lint --without "$skip" | xargs -r -n 1 -P "$(nproc)" clang-tidy-16 -p build-lint --quiet >"$log" 2>&1 || status=1
grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed ' "$log" || true
exit $status
