"""Scored translations of Multi30k en-de: one training and decoding a score and seed, of which a file keeps what tables need."""
import json
import subprocess
import sys

import common
import sacrebleu

# `attend train` with the defaults, --train.minutes 15 and --threads 1, alone on a Zen 4 core at 3.7 GHz: its last step. A number here, so
# that each run does the same on any machine.
UPDATES = 2995
FILES = {(part, side): common.data("multi30k", f"{part}.{side}") for part in ("train", "val", "test_2016_flickr") for side in ("en", "de")}
REFERENCE = FILES["test_2016_flickr", "de"]
BLEU = sacrebleu.BLEU()
PAIRED = common.PROGRAM.parent / "paired"


def signature():
    """Of BLEU, which sacreBLEU knows once it has scored something."""
    BLEU.corpus_score(["a"], [["a"]])
    return BLEU.get_signature()


def program():
    """The tree of the program's code: runs of different code do not stand in one table."""
    return subprocess.run(["git", "-C", common.ROOT, "rev-parse", "HEAD:attend"], capture_output=True, text=True, check=True).stdout.strip()


def paired(*words):
    return json.loads(subprocess.run([PAIRED, *map(str, words)], check=True, capture_output=True, text=True).stdout)


def holm(p):
    """{name: p corrected for as many comparisons as there are} (Holm 1979)."""
    out, least = {}, 0
    for rank, name in enumerate(sorted(p, key=p.get)):
        out[name] = least = min(1, max(least, p[name] * (len(p) - rank)))
    return out


def run(score, seed, folder, work):
    """Leaves folder/SCORE.SEED.json, if it is not there yet."""
    kept = folder / f"{score}.{seed}.json"
    if kept.exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    model, output, log = (work / f"{score}.{seed}{end}" for end in ("", ".txt", ".log"))
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
