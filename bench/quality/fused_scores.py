"""Do translators learn the same on fused attention as on its composed formulas? Scores on Multi30k en-de, three seeds, equal updates.

  fused_scores.py [--runs SCORE:SEED ...]     only these runs now; the table needs all of them
The composed runs are those of multi30k_scores.py, kept in docs/results/multi30k_scores; the fused ones go beside them, to
docs/results/fused_scores. Two runs at a time with one thread each. p: paired randomisation over the lines of the test text, statistics summed
over the seeds, corrected for several comparisons (Holm)."""
import argparse
import concurrent.futures
import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common
from scored import FILES, UPDATES, holm, paired, run, signature

SCORES, SEEDS = ["additive", "scaled_dot", "cosine"], [1, 2, 3]  # one of each class of products and sums
RESULTS = common.ROOT / "docs" / "results"
COMPOSED, FUSED = RESULTS / "multi30k_scores", RESULTS / "fused_scores"

parser = argparse.ArgumentParser()
parser.add_argument("--runs", nargs="*")
a = parser.parse_args()
wanted = [(score, seed) for seed in SEEDS for score in SCORES]
if a.runs:
    wanted = [(score, int(seed)) for score, seed in (name.split(":") for name in a.runs)]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    list(pool.map(lambda pair: run(*pair, FUSED, common.WORK / "fused_scores"), wanted))
if a.runs:
    sys.exit("bench: done; without --runs the table is written")

paths = {(folder, score): [folder / f"{score}.{seed}.json" for seed in SEEDS] for folder in (COMPOSED, FUSED) for score in SCORES}
runs = {key: [json.loads(path.read_text()) for path in of] for key, of in paths.items()}
for folder in (COMPOSED, FUSED):
    if len({(one["program"], one["updates"]) for (of, _), some in runs.items() for one in some if of == folder}) > 1:
        sys.exit(f"bench: expected runs of one program, as long; found several in {folder}")
tests = {score: paired("compare", *(",".join(map(str, paths[folder, score])) for folder in (FUSED, COMPOSED))) for score in SCORES}
corrected = holm({score: test["p"] for score, test in tests.items()})
rows = []
for score, test in tests.items():
    of = {folder: [one["bleu"] for one in runs[folder, score]] for folder in (COMPOSED, FUSED)}
    shown = [f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}" for values in of.values()]
    difference = f"{test['first'] - test['second']:+.2f} ({test['low']:+.2f} to {test['high']:+.2f})"
    rows.append([score, *shown, difference, f"{corrected[score]:.4f}", "no difference shown" if corrected[score] > 0.05 else "they differ"])
commits = {folder: ", ".join(sorted({one["commit"] for (of, _), some in runs.items() for one in some if of == folder})) for folder in (COMPOSED, FUSED)}
common.write("fused_scores", "Translators on fused attention: Multi30k en-de", "tools/bench.sh quality/fused_scores", [], FILES.values(), 1,
             f"{UPDATES} updates each; beam 5; {signature()}. ±: standard deviation over three seeds. Difference: fused less composed, of the "
             "three runs' outputs together, with the 95 % interval of a paired bootstrap over the lines. "
             f"Composed: commits {commits[COMPOSED]}; fused: {commits[FUSED]}.",
             page="mechanisms", table={"heads": ["score", "composed, BLEU", "fused, BLEU", "difference", "p (Holm)", "verdict"], "rows": rows})
