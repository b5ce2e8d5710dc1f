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
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common
from scored import FILES, UPDATES, holm, paired, run, signature

SCORES = ["additive", "general", "dot", "scaled_dot", "cosine", "euclidean", "concat"]
SEEDS = [1, 2, 3]
KEPT = common.ROOT / "docs" / "results" / "multi30k_scores"

parser = argparse.ArgumentParser()
parser.add_argument("--runs", nargs="*")
a = parser.parse_args()
WORK = common.WORK / "multi30k_scores"
wanted = [(score, seed) for seed in SEEDS for score in SCORES]
if a.runs:
    wanted = [(score, int(seed)) for score, seed in (name.split(":") for name in a.runs)]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    list(pool.map(lambda pair: run(*pair, KEPT, WORK), wanted))
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
corrected = holm({score: test["p"] for score, test in tests.items()})
rows = []
for score in sorted(SCORES, key=lambda s: -statistics.mean(scores[s])):
    mean, deviation = statistics.mean(scores[score]), statistics.stdev(scores[score])
    difference = f"{tests[score]['first'] - tests[score]['second']:+.2f} ({tests[score]['low']:+.2f} to {tests[score]['high']:+.2f})" if score in tests else ""
    verdict = "" if score not in tests else "no difference shown" if corrected[score] > 0.05 else "better" if tests[score]["first"] > tests[score]["second"] else "worse"
    rows.append([score, f"{mean:.2f} ± {deviation:.2f}", " ".join(f"{s:.2f}" for s in scores[score]), difference,
                 f"{corrected[score]:.4f}" if score in tests else "", verdict])
common.write("multi30k_scores", "Scores in a translator: Multi30k en-de", "tools/bench.sh quality/multi30k_scores", [], FILES.values(), 1,
             f"{UPDATES} updates each, what the default does in 15 minutes on one thread of a Zen 4 core; beam 5; {signature()}. ±: "
             "standard deviation over three seeds. Against additive: of the three runs' outputs together, with the 95 % interval of a paired "
             f"bootstrap over the lines. Each run: results/multi30k_scores/, commits {', '.join(sorted({one['commit'] for one in every}))}.",
             page="mechanisms", table={"heads": ["score", "BLEU, mean", "of each seed", "against additive", "p (Holm)", "verdict"], "rows": rows})
