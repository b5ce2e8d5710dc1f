#!/bin/sh
# tools/docs.sh [FOLDER]: writes the generated pages into FOLDER (docs/): the options and the mechanisms from their declarations, the
# figures from docs/results. A test compares them with those in docs/. ATTEND_BUILD: the build folder, if not build.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-docs}
attend=${ATTEND_BUILD:-build}/attend
mkdir -p "$folder"
# A page appears when it is whole.
"$attend" docs configuration >"$folder/.page"
mv "$folder/.page" "$folder/configuration.md"
{
  "$attend" docs mechanisms
  python3 tools/benchmarks.py docs/results mechanisms
} >"$folder/.page"
mv "$folder/.page" "$folder/mechanisms.md"
python3 tools/benchmarks.py docs/results >"$folder/.page"
mv "$folder/.page" "$folder/benchmarks.md"
