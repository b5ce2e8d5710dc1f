#!/bin/sh
# Learns to read dates: GRU with additive attention, from characters to characters. Everything it makes lies in demo/.
set -eu
cd "$(dirname "$0")/../.."
attend=build/attend
rm -rf demo
.venv/bin/python examples/dates/generate.py demo/data
echo "Dates as people write them, and as ISO 8601 has them:"
paste demo/data/train.written demo/data/train.iso | head -n 3

$attend train --task translate --out demo/model \
  --data.train.source demo/data/train.written --data.train.target demo/data/train.iso \
  --data.valid.source demo/data/valid.written --data.valid.target demo/data/valid.iso \
  --text.tokenizer character --text.lowercase true \
  --model.encoder.size 64 --model.encoder.embedding 64 --model.encoder.embedding_dropout 0 --model.encoder.dropout 0.1 \
  --model.decoder.size 128 --model.decoder.embedding 64 --model.decoder.embedding_dropout 0 --model.decoder.dropout 0.1 \
  --model.decoder.fusion input --model.decoder.attention.score additive \
  --train.batch_tokens 2000 --train.learning_rate 0.002 --train.label_smoothing 0 --train.minutes 2.3

$attend predict demo/model --input demo/data/test.written --output demo/test.output
total=$(wc -l <demo/data/test.iso)
right=$(paste demo/test.output demo/data/test.iso | awk -F '\t' '$1 == $2' | wc -l)
echo
echo "Unseen dates:"
paste demo/data/test.written demo/test.output | head -n 5
echo "$right of $total unseen dates are exactly right."

$attend show demo/model --text "$(head -n 1 demo/data/test.written)" --text "the 3rd of May, 1987" --out demo/attention.html
cat <<END

What it looked at while it wrote: $PWD/demo/attention.html (open it in a browser)
With files of your own, line for line a source and its target:
  build/attend train --task translate --data.train.source SOURCE --data.train.target TARGET --out MODEL
  build/attend predict MODEL --input FILE
  build/attend show MODEL --text "a sentence" --out report.html
END
