"""Which score translates best? Seven scores with the conditional GRU on Multi30k en-de: equal updates, three seeds, which differences are real.

  multi30k_scores.py [--runs SCORE:SEED ...]     only these runs now; the table needs all of them
As many updates as the default does in 15 minutes on one thread; two runs at a time with one thread each. Weights are chosen on the
validation text. Each finished run leaves docs/results/multi30k_scores/SCORE.SEED.json: which program, its scores and what each line adds
to BLEU, which is all that the table needs; a run that has left it is not done again. p: paired randomisation over the lines of the test
text, statistics summed over the seeds, against additive, corrected for several comparisons (Holm)."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common
from scored import FILES, UPDATES, against, commits, main, read, signature

SCORES = ["additive", "general", "dot", "scaled_dot", "cosine", "euclidean", "concat"]
SEEDS = [1, 2, 3]
KEPT = common.ROOT / "docs" / "results" / "multi30k_scores"

main(SCORES, SEEDS, KEPT, common.WORK / "multi30k_scores", lambda score: ["--model.decoder.attention.score", score])
paths, runs = read(KEPT, SCORES, SEEDS)
common.write("multi30k_scores", "Scores in a translator: Multi30k en-de", "tools/bench.sh quality/multi30k_scores", [], FILES.values(), 1,
             f"{UPDATES} updates each, what the default does in 15 minutes on one thread of a Zen 4 core; beam 5; {signature()}. ±: "
             "standard deviation over three seeds. Against additive: of the three runs' outputs together, with the 95 % interval of a paired "
             f"bootstrap over the lines. Each run: results/multi30k_scores/, commits {commits(runs)}.",
             page="mechanisms", table={"heads": ["score", "BLEU, mean", "of each seed", "against additive", "p (Holm)", "verdict"],
                                       "rows": against("additive", paths, runs)})
