"""Scored translations of Multi30k en-de: one training and decoding a name and seed, of which a file keeps what tables need; and the tables."""
import argparse
import concurrent.futures
import json
import statistics
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


def read(folder, names, seeds, programs=1):
    """({name: its files}, {name: what they keep}), as long each, of one program; of more where the caller tells why they compare."""
    paths = {name: [folder / f"{name}.{seed}.json" for seed in seeds] for name in names}
    runs = {name: [json.loads(path.read_text()) for path in of] for name, of in paths.items()}
    every = [one for of in runs.values() for one in of]
    if len({one["program"] for one in every}) > programs or len({one["updates"] for one in every}) > 1:
        sys.exit(f"bench: expected runs of {programs} program(s), as long; found more in {folder}")
    return paths, runs


def commits(runs):
    return ", ".join(sorted({one["commit"] for of in runs.values() for one in of}))


def mean(runs):
    scores = [one["bleu"] for one in runs]
    return f"{statistics.mean(scores):.2f}" + (f" ± {statistics.stdev(scores):.2f}" if len(scores) > 1 else "")


def against(base, paths, runs):
    """[name, BLEU, of each seed, difference from `base`, p, verdict], the best first."""
    every = [one for of in runs.values() for one in of]
    if len({one["output"] for one in every}) < len(every):
        sys.exit("bench: expected an output of its own from each run; found two alike")
    tests = {name: paired("compare", ",".join(map(str, of)), ",".join(map(str, paths[base]))) for name, of in paths.items() if name != base}
    corrected, rows = holm({name: test["p"] for name, test in tests.items()}), []
    for name in sorted(runs, key=lambda n: -statistics.mean(one["bleu"] for one in runs[n])):
        row = [name, mean(runs[name]), " ".join(f"{one['bleu']:.2f}" for one in runs[name])]
        if name in tests:
            test = tests[name]
            difference = test["first"] - test["second"]
            row += [f"{difference:+.2f} ({test['low']:+.2f} to {test['high']:+.2f})", f"{corrected[name]:.4f}",
                    "no difference shown" if corrected[name] > 0.05 else "better" if difference > 0 else "worse"]
        rows.append(row + [""] * (6 - len(row)))
    return rows


def run(name, seed, folder, work, options, updates=UPDATES):
    """Leaves folder/NAME.SEED.json, if it is not there yet."""
    kept = folder / f"{name}.{seed}.json"
    if kept.exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    model, output, log = (work / f"{name}.{seed}{end}" for end in ("", ".txt", ".log"))
    used = model / "used.json"  # by the training, which an interrupted run of this script need not repeat
    if not (model / "training" / "finished").exists():
        usage = {}
        common.attend("train", "--data.train.source", FILES["train", "en"], "--data.train.target", FILES["train", "de"], "--data.valid.source",
                      FILES["val", "en"], "--data.valid.target", FILES["val", "de"], "--train.seed", seed, "--threads", 1, *options,
                      "--train.steps", updates, "--train.validate_steps", updates // 8, "--train.epochs", 1000, "--out", model, log=log, usage=usage)
        used.write_text(json.dumps(usage))
    common.attend("predict", model, "--input", FILES["test_2016_flickr", "en"], "--output", output, "--beam", 5, "--threads", 1, log=log)
    lines = paired("statistics", FILES["test_2016_flickr", "de"], output)
    bleu = BLEU.corpus_score(output.read_text(encoding="utf-8").splitlines(), [REFERENCE.read_text(encoding="utf-8").splitlines()])
    if [bleu.sys_len, bleu.ref_len, *bleu.counts, *bleu.totals] != [sum(column) for column in zip(*lines)]:
        sys.exit("bench: expected the words and n-grams that sacreBLEU counts; found others")
    result = {"name": name, "seed": seed, "updates": updates, "commit": common.COMMIT, "program": program(), "machine": common.machine(1),
              "valid": [[entry["step"], entry["metrics"]["bleu"]["value"]] for entry in common.log_lines(model, "validation")],
              **json.loads(used.read_text()), "bleu": bleu.score, "output": common.digest(output), "lines": lines}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.with_suffix(".part").write_text(json.dumps(result, separators=(",", ":")) + "\n")
    kept.with_suffix(".part").rename(kept)


def main(names, seeds, folder, work, options, updates=UPDATES):
    """[--runs NAME:SEED ...]: only these runs now; the table needs all of them. options: a function of the name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", nargs="*")
    a = parser.parse_args()
    wanted = [(name, seed) for seed in seeds for name in names]
    if a.runs:
        wanted = [(name, int(seed)) for name, seed in (one.split(":") for one in a.runs)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: run(*pair, folder, work, options(pair[0]), updates), wanted))
    if a.runs:
        sys.exit("bench: done; without --runs the table is written")
