"""Do translators learn the same on fused attention as on its composed formulas? Scores on Multi30k en-de, three seeds, equal updates.

  fused_scores.py [--runs SCORE:SEED ...]     only these runs now; the table needs all of them
The composed runs are those of multi30k_scores.py, kept in docs/results/multi30k_scores; the fused ones go beside them, to
docs/results/fused_scores. Two runs at a time with one thread each. p: paired randomisation over the lines of the test text, statistics summed
over the seeds, corrected for several comparisons (Holm)."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common
from scored import FILES, UPDATES, commits, holm, main, mean, paired, read, signature

SCORES, SEEDS = ["additive", "scaled_dot", "cosine"], [1, 2, 3]  # one of each class of products and sums
RESULTS = common.ROOT / "docs" / "results"

main(SCORES, SEEDS, RESULTS / "fused_scores", common.WORK / "fused_scores", lambda score: ["--model.decoder.attention.score", score])
(composed_paths, composed), (fused_paths, fused) = (read(RESULTS / folder, SCORES, SEEDS) for folder in ("multi30k_scores", "fused_scores"))
tests = {score: paired("compare", *(",".join(map(str, paths[score])) for paths in (fused_paths, composed_paths))) for score in SCORES}
corrected = holm({score: test["p"] for score, test in tests.items()})
rows = []
for score, test in tests.items():
    difference = f"{test['first'] - test['second']:+.2f} ({test['low']:+.2f} to {test['high']:+.2f})"
    rows.append([score, mean(composed[score]), mean(fused[score]), difference, f"{corrected[score]:.4f}",
                 "no difference shown" if corrected[score] > 0.05 else "they differ"])
common.write("fused_scores", "Translators on fused attention: Multi30k en-de", "tools/bench.sh quality/fused_scores", [], FILES.values(), 1,
             f"{UPDATES} updates each; beam 5; {signature()}. ±: standard deviation over three seeds. Difference: fused less composed, of the "
             "three runs' outputs together, with the 95 % interval of a paired bootstrap over the lines. "
             f"Composed: commits {commits(composed)}; fused: {commits(fused)}.",
             page="mechanisms", table={"heads": ["score", "composed, BLEU", "fused, BLEU", "difference", "p (Holm)", "verdict"], "rows": rows})
