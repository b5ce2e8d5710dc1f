"""Quality on Multi30k, test_2016. Weights are chosen on the validation text.

  multi30k.py en-de | de-en | en-de-none | en-de-transformer | de-en-10 [--threads 2]
en-de, de-en: the conditional GRU, a fixed number of epochs that takes less than 60 minutes; en-de-none: the same without attention;
en-de-transformer: a small Transformer, as long; de-en-10: only the files, --out and --train.minutes 10 given."""
import argparse
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common

# The options of the long runs besides the files and --out: more epochs want more dropout (chosen on the validation text).
LONG = ["--train.epochs", 15, *(x for side in ("encoder", "decoder") for name in ("embedding_dropout", "dropout") for x in (f"--model.{side}.{name}", 0.3))]
TRANSFORMER = ["--train.epochs", 55, "--train.batch_tokens", 2000, "--train.learning_rate", 0.001, "--train.warmup", 400, "--train.patience", 0,
               "--model.tie", "all",
               *(x for side in ("encoder", "decoder")
                 for name, value in {"kind": "transformer", "layers": 3, "feed_forward": 512, "pre_norm": "false", "dropout": 0.3,
                                     "embedding_dropout": 0.3}.items()
                 for x in (f"--model.{side}.{name}", value))]
# name: (its options, what it is, minutes at most, BLEU of beam 5 to reach: lower-case, cased)
RUNS = {"en-de": (LONG, "", 60, 37.0, None), "de-en": (LONG, "", 60, 38.0, None),
        "en-de-none": (LONG + ["--model.decoder.fusion", "none"], " without attention", 60, None, None),
        "en-de-transformer": (TRANSFORMER, ", a Transformer", 60, 39.5, None),
        "de-en-10": (["--train.minutes", 10], "", 10, None, 33.5)}

parser = argparse.ArgumentParser()
parser.add_argument("run", choices=RUNS)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()
source, target = a.run.split("-")[:2]
name = "multi30k_" + a.run.replace("-", "_")
options, what, minutes, lower_case, cased = RUNS[a.run]
files = {(part, side): common.data("multi30k", f"{part}.{side}") for part in ("train", "val", "test_2016_flickr") for side in (source, target)}
model = common.WORK / name
shutil.rmtree(model, ignore_errors=True)
model.parent.mkdir(parents=True, exist_ok=True)
arguments = ["--data.train.source", files["train", source], "--data.train.target", files["train", target], "--data.valid.source", files["val", source],
             "--data.valid.target", files["val", target], *options, "--out", model]
common.attend("train", *arguments, "--threads", a.threads)

import sacrebleu

references = files["test_2016_flickr", target].read_text(encoding="utf-8").splitlines()
figures = []
for beam in (1, 5):
    output = model.with_suffix(f".beam{beam}.txt")
    common.attend("predict", model, "--input", files["test_2016_flickr", source], "--output", output, "--beam", beam, "--threads", a.threads)
    outputs = output.read_text(encoding="utf-8").splitlines()
    for lowercase in (True, False):
        bleu = sacrebleu.BLEU(lowercase=lowercase)
        score = bleu.corpus_score(outputs, [references]).score
        goal = lower_case if lowercase else cased
        target_text = f">= {goal:.1f}" if goal and beam == 5 else None
        figures.append(common.figure(f"BLEU, {'greedy' if beam == 1 else 'beam 5'}, {'lower-case' if lowercase else 'cased'} ({bleu.get_signature()})", score, "",
                                     target_text))
validations = common.log_lines(model, "validation")
figures.append(common.figure("best validation BLEU, greedy", max(v["metrics"]["bleu"]["value"] for v in validations)))
figures.append(common.figure("epochs", validations[-1]["epoch"]))
figures.append(common.figure("anonymous memory, at most", common.peak_memory / 2**30, "GiB", "<= 1.5"))
figures.append(common.figure("minutes of training", validations[-1]["seconds"] / 60, "", f"<= {minutes:g}"))
shown = " ".join(map(str, options))
common.write(name, f"Multi30k {source}-{target}{what}, {'' if minutes == 10 else 'at most '}{minutes} minutes",
             f"tools/bench.sh quality/multi30k {a.run}" + (f" --threads {a.threads}" if a.threads != 2 else ""), figures, files.values(), a.threads,
             f"Options besides the files and --out: {shown}.")
