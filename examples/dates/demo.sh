#!/bin/sh
# Learns to read dates: a GRU with additive attention, from characters to characters. Everything it makes lies in demo/.
set -eu
cd "$(dirname "$0")/../.."
attend=build/attend
rm -rf demo
python3 examples/dates/generate.py demo/data
echo "Dates as people write them, and as ISO 8601 has them:"
paste demo/data/train.written demo/data/train.iso | head -n 5 | expand -t 34
echo

# Four passes are enough; the minutes only keep a slow machine from making it long.
$attend train --task translate --out demo/model --threads 2 \
  --data.train.source demo/data/train.written --data.train.target demo/data/train.iso \
  --data.valid.source demo/data/valid.written --data.valid.target demo/data/valid.iso \
  --text.tokenizer character --text.lowercase true \
  --model.encoder.size 64 --model.encoder.embedding 32 --model.encoder.embedding_dropout 0 --model.encoder.dropout 0 \
  --model.decoder.size 128 --model.decoder.embedding 32 --model.decoder.embedding_dropout 0 --model.decoder.dropout 0 \
  --model.decoder.fusion input --model.decoder.attention.score additive \
  --train.batch_tokens 2000 --train.learning_rate 0.003 --train.label_smoothing 0 --train.metric accuracy \
  --train.epochs 4 --train.minutes 2.3

$attend predict demo/model --threads 2 --input demo/data/test.written --output demo/test.output
total=$(wc -l <demo/data/test.iso)
right=$(paste demo/test.output demo/data/test.iso | awk -F '\t' '$1 == $2' | wc -l)
echo
echo "Dates that were not in the training text:"
paste demo/data/test.written demo/test.output | head -n 5 | expand -t 34
awk -v right="$right" -v total="$total" 'BEGIN { printf "%d of %d unseen dates are exactly right: %.1f %%\n\n", right, total, 100 * right / total }'

echo "What it looks at while it writes (rows: what it writes; columns: what it reads):"
$attend show demo/model --text "the 3rd of May, 1987" --format text
head -n 7 demo/data/test.written >demo/shown.written
$attend show demo/model --input demo/shown.written --out demo/attention.html
cat <<END

The same as a page, for more dates: $PWD/demo/attention.html - open it in a browser.

Try a date of your own:
  echo "Sunday, 20 July 1969" | build/attend predict demo/model

With files of your own, line for line a source and its target, a translator:
  build/attend train --task translate --data.train.source SOURCE --data.train.target TARGET --train.minutes 10 --out MODEL
  build/attend predict MODEL --input FILE
  build/attend show MODEL --text "a sentence" --out report.html
END
