"""Which score translates best? Seven scores with the conditional GRU on Multi30k en-de: equal updates, three seeds, which differences are real.

  multi30k_scores.py [--runs SCORE:SEED ...]     only these runs now; the table needs all of them
As many updates as the default does in 15 minutes on one thread; two runs at a time with one thread each. Weights are chosen on the
validation text. Each finished run leaves docs/results/multi30k_scores/SCORE.SEED.json: which program, its scores and what each line adds
to BLEU, which is all that the table needs; a run that has left it is not done again. p: paired randomisation over the lines of the test
text, statistics summed over the seeds, against additive, corrected for several comparisons (Holm)."""
import argparse
import concurrent.futures
import json
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common
import sacrebleu

SCORES = ["additive", "general", "dot", "scaled_dot", "cosine", "euclidean", "concat"]
SEEDS = [1, 2, 3]
# `attend train` with the defaults, --train.minutes 15 and --threads 1, alone on a Zen 4 core at 3.7 GHz: its last step. A number here, so
# that each run does the same on any machine.
UPDATES = 2995
KEPT = common.ROOT / "docs" / "results" / "multi30k_scores"
PAIRED = common.PROGRAM.parent / "paired"


def program():
    """The tree of the program's code: runs of different code do not stand in one table."""
    return subprocess.run(["git", "-C", common.ROOT, "rev-parse", "HEAD:attend"], capture_output=True, text=True, check=True).stdout.strip()


def paired(*words):
    return json.loads(subprocess.run([PAIRED, *map(str, words)], check=True, capture_output=True, text=True).stdout)


def run(score, seed):
    kept = KEPT / f"{score}.{seed}.json"
    if kept.exists():
        return
    model, output, log = (WORK / f"{score}.{seed}{end}" for end in ("", ".txt", ".log"))
    if not (model / "training" / "finished").exists():
        common.attend("train", "--data.train.source", FILES["train", "en"], "--data.train.target", FILES["train", "de"], "--data.valid.source",
                      FILES["val", "en"], "--data.valid.target", FILES["val", "de"], "--train.seed", seed, "--threads", 1,
                      "--model.decoder.attention.score", score, "--train.steps", UPDATES, "--train.validate_steps", UPDATES // 8,
                      "--train.epochs", 1000, "--out", model, log=log)
    common.attend("predict", model, "--input", FILES["test_2016_flickr", "en"], "--output", output, "--beam", 5, "--threads", 1, log=log)
    lines = paired("statistics", FILES["test_2016_flickr", "de"], output)
    bleu = BLEU.corpus_score(output.read_text(encoding="utf-8").splitlines(), [REFERENCE.read_text(encoding="utf-8").splitlines()])
    if [bleu.sys_len, bleu.ref_len, *bleu.counts, *bleu.totals] != [sum(column) for column in zip(*lines)]:
        sys.exit("bench: expected the words and n-grams that sacreBLEU counts; found others")
    result = {"score": score, "seed": seed, "updates": UPDATES, "commit": common.COMMIT, "program": program(), "machine": common.machine(1),
              "valid": [[entry["step"], entry["metrics"]["bleu"]["value"]] for entry in common.log_lines(model, "validation")],
              "bleu": bleu.score, "output": common.digest(output), "lines": lines}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.with_suffix(".part").write_text(json.dumps(result, separators=(",", ":")) + "\n")
    kept.with_suffix(".part").rename(kept)


parser = argparse.ArgumentParser()
parser.add_argument("--runs", nargs="*")
a = parser.parse_args()
WORK = common.WORK / "multi30k_scores"
WORK.mkdir(parents=True, exist_ok=True)
FILES = {(part, side): common.data("multi30k", f"{part}.{side}") for part in ("train", "val", "test_2016_flickr") for side in ("en", "de")}
REFERENCE = FILES["test_2016_flickr", "de"]
BLEU = sacrebleu.BLEU()
wanted = [(score, seed) for seed in SEEDS for score in SCORES]
if a.runs:
    wanted = [(score, int(seed)) for score, seed in (name.split(":") for name in a.runs)]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    list(pool.map(lambda pair: run(*pair), wanted))
if a.runs:
    sys.exit("bench: done; without --runs the table is written")

paths = {score: [KEPT / f"{score}.{seed}.json" for seed in SEEDS] for score in SCORES}
runs = {score: [json.loads(path.read_text()) for path in paths[score]] for score in SCORES}
every = [one for score in SCORES for one in runs[score]]
if len({one["output"] for one in every}) < len(every):
    sys.exit(f"bench: expected an output of its own from each run; found two alike in {KEPT}")
if len({(one["program"], one["updates"]) for one in every}) > 1:
    sys.exit(f"bench: expected runs of one program, as long; found several in {KEPT}")
scores = {score: [one["bleu"] for one in runs[score]] for score in SCORES}
tests = {score: paired("compare", ",".join(map(str, paths[score])), ",".join(map(str, paths["additive"]))) for score in SCORES[1:]}
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
             f"{UPDATES} updates each, what the default does in 15 minutes on one thread of a Zen 4 core; beam 5; {BLEU.get_signature()}. ±: "
             "standard deviation over three seeds. Against additive: of the three runs' outputs together, with the 95 % interval of a paired "
             f"bootstrap over the lines. Each run: results/multi30k_scores/, commits {', '.join(sorted({one['commit'] for one in every}))}.",
             page="mechanisms", table={"heads": ["score", "BLEU, mean", "of each seed", "against additive", "p (Holm)", "verdict"], "rows": rows})
