#!/bin/sh
# tools/build.sh PRESET: configures where that was not done and builds; nothing is rebuilt that is up to date. CMake's own lines are
# shown only when it fails.
set -eu
cd "$(dirname "$0")/.."
folder=build
[ "$1" = release ] || folder=build-$1
if [ ! -e "$folder/build.ninja" ]; then
  mkdir -p "$folder"
  cmake --preset "$1" >"$folder/configure.log" 2>&1 || { cat "$folder/configure.log"; exit 1; }
fi
cmake --build --preset "$1"
