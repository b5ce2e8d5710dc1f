#!/bin/sh
# tools/docs.sh [FOLDER]: writes the generated pages into FOLDER (docs/): the options and the mechanisms from their declarations, the
# benchmarks from docs/results. A test compares them with those in docs/.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-docs}
mkdir -p "$folder"
build/attend docs configuration >"$folder/configuration.md"
build/attend docs mechanisms >"$folder/mechanisms.md"
python3 tools/benchmarks.py docs/results >"$folder/benchmarks.md"
