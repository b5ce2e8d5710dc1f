"""Which score translates best? Seven scores with the conditional GRU on Multi30k en-de: equal updates, three seeds, which differences are real.

  multi30k_scores.py [--runs SCORE:SEED ...]     only these runs now; the table needs all of them
As many updates as the default does in 15 minutes on one thread; two runs at a time with one thread each. Weights are chosen on the
validation text. p: paired randomisation over the lines of the test text, statistics summed over the seeds, against additive, corrected for
several comparisons (Holm)."""
import argparse
import concurrent.futures
import json
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common

SCORES = ["additive", "general", "dot", "scaled_dot", "cosine", "euclidean", "concat"]
SEEDS = [1, 2, 3]
UPDATES = common.WORK / "multi30k_scores" / "updates"


def options(seed, *more):
    return ["--data.train.source", FILES["train", "en"], "--data.train.target", FILES["train", "de"], "--data.valid.source", FILES["val", "en"],
            "--data.valid.target", FILES["val", "de"], "--train.seed", seed, "--threads", 1, *more]


def updates():
    """What the default does in 15 minutes on one thread, alone on the machine: measured once."""
    if not UPDATES.exists():
        model = WORK / "updates_of_15_minutes"
        common.attend("train", *options(1, "--train.minutes", 15, "--restart", "--out", model), log=WORK / "log")
        UPDATES.write_text(str(common.log_lines(model, "validation")[-1]["step"]))
    return int(UPDATES.read_text())


def run(score, seed):
    model = WORK / f"{score}.{seed}"
    output = WORK / f"{score}.{seed}.txt"
    if not output.exists():
        log = WORK / f"{score}.{seed}.log"
        if not (model / "training" / "finished").exists():
            common.attend("train", *options(seed, "--model.decoder.attention.score", score, "--train.steps", STEPS, "--train.validate_steps",
                                            STEPS // 8, "--train.epochs", 1000, "--out", model), log=log)
        common.attend("predict", model, "--input", FILES["test_2016_flickr", "en"], "--output", output, "--beam", 5, "--threads", 1, log=log)
    return output


parser = argparse.ArgumentParser()
parser.add_argument("--runs", nargs="*")
a = parser.parse_args()
WORK = common.WORK / "multi30k_scores"
WORK.mkdir(parents=True, exist_ok=True)
FILES = {(part, side): common.data("multi30k", f"{part}.{side}") for part in ("train", "val", "test_2016_flickr") for side in ("en", "de")}
STEPS = updates()
wanted = [(score, seed) for seed in SEEDS for score in SCORES]
if a.runs:
    wanted = [(score, int(seed)) for score, seed in (name.split(":") for name in a.runs)]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    list(pool.map(lambda pair: run(*pair), wanted))
if a.runs:
    sys.exit("bench: done; without --runs the table is written")

import sacrebleu

reference = FILES["test_2016_flickr", "de"]
lines = reference.read_text(encoding="utf-8").splitlines()
outputs = {score: [run(score, seed) for seed in SEEDS] for score in SCORES}
if len({path.read_bytes() for paths in outputs.values() for path in paths}) < len(SCORES) * len(SEEDS):
    sys.exit(f"bench: expected an output of its own from each run; found two alike in {WORK}")
bleu = sacrebleu.BLEU()
scores = {score: [bleu.corpus_score(path.read_text(encoding="utf-8").splitlines(), [lines]).score for path in outputs[score]] for score in SCORES}
tests = {}
for score in SCORES[1:]:
    words = [common.PROGRAM.parent / "paired", reference, ",".join(map(str, outputs[score])), ",".join(map(str, outputs["additive"]))]
    tests[score] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
holm, least = {}, 0
for rank, score in enumerate(sorted(tests, key=lambda s: tests[s]["p"])):
    holm[score] = least = min(1, max(least, tests[score]["p"] * (len(tests) - rank)))
rows = []
for score in sorted(SCORES, key=lambda s: -statistics.mean(scores[s])):
    mean, deviation = statistics.mean(scores[score]), statistics.stdev(scores[score])
    difference = f"{tests[score]['first'] - tests[score]['second']:+.2f} ({tests[score]['low']:+.2f} to {tests[score]['high']:+.2f})" if score in tests else ""
    verdict = "" if score not in tests else "no difference shown" if holm[score] > 0.05 else "better" if tests[score]["first"] > tests[score]["second"] else "worse"
    rows.append([score, f"{mean:.2f} ± {deviation:.2f}", " ".join(f"{s:.2f}" for s in scores[score]), difference,
                 f"{holm[score]:.4f}" if score in tests else "", verdict])
common.write("multi30k_scores", "Scores in a translator: Multi30k en-de", "tools/bench.sh quality/multi30k_scores", [], FILES.values(), 1,
             f"{STEPS} updates each, what the default does in 15 minutes on one thread; beam 5; {bleu.get_signature()}. ±: standard deviation over three "
             "seeds. Against additive: of the three runs' outputs together, with the 95 % interval of a paired bootstrap over the lines.",
             page="mechanisms", table={"heads": ["score", "BLEU, mean", "of each seed", "against additive", "p (Holm)", "verdict"], "rows": rows})
