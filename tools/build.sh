#!/bin/sh
# tools/build.sh PRESET [TARGET...]: configures where that was not done and builds; nothing is rebuilt that is up to date. CMake's own
# lines are shown only when it fails. Target products: the program and its libraries without the tests.
set -eu
cd "$(dirname "$0")/.."
preset=$1
shift
folder=build
[ "$preset" = release ] || folder=build-$preset
if [ ! -e "$folder/build.ninja" ]; then
  mkdir -p "$folder"
  cmake --preset "$preset" >"$folder/configure.log" 2>&1 || { cat "$folder/configure.log"; exit 1; }
fi
cmake --build --preset "$preset" ${1:+--target "$@"}
