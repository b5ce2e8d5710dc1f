#!/bin/sh
# Draws docs/pictures/attention.svg: trains a small translator on made-up sentences (a minute) and asks what it looked at.
# picture.sh [FILE]
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 examples/sentences/generate.py "$work"
build/attend train --out "$work/model" --threads 2 \
  --data.train.source "$work/train.de" --data.train.target "$work/train.en" \
  --data.valid.source "$work/valid.de" --data.valid.target "$work/valid.en" \
  --text.tokenizer word --text.shared false \
  --model.encoder.size 64 --model.encoder.embedding 64 --model.decoder.size 128 --model.decoder.embedding 64 \
  --model.decoder.fusion output --model.decoder.attention.score general \
  --train.batch_tokens 1000 --train.learning_rate 0.003 --train.epochs 5
build/attend show "$work/model" --format svg --out "${1:-docs/pictures/attention.svg}" \
  --text "Die junge Lehrerin weiß, dass der Nachbar gestern das rote Fahrrad gekauft hat."
