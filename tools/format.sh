#!/bin/sh
# tools/format.sh [--check]: lays out every C++ file as .clang-format says; with --check only tells which differ.
set -eu
cd "$(dirname "$0")/.."
mode=-i
[ "${1:-}" != --check ] || mode='--dry-run -Werror'
find attend tests bench examples \( -name '*.h' -o -name '*.cc' \) -print0 | xargs -0 -r -n 20 -P "$(nproc)" clang-format-16 $mode
