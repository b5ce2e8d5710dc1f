"""Every mechanism of the vocabulary, each varied alone from the default: do they learn dates, and do they align an artificial language pair?

  mechanisms.py [NAME ...]     only these variants (`score general`), the others as they were; without names those not yet run
Runs two at a time with one thread each and a fixed number of epochs. What a training gave is kept beside its models and used again as long
as the program is the same. The epochs were chosen with the test lines of examples/dates in sight, so that those reported here are others:
of the days kept for testing, only those that these lines do not name."""
import argparse
import concurrent.futures
import json
import pathlib
import random
import shutil
import subprocess
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parents[2] / "examples/dates")]
import common
import generate as dates

DECODER = "--model.decoder."
ATTENTION = DECODER + "attention."

# What a name of a list becomes on the command line.
OPTIONS = {
    "scores": lambda name: [ATTENTION + "score", name],
    "supports": lambda name: [ATTENTION + "support", name],
    "normalisers": lambda name: [ATTENTION + "normaliser", name],
    "readouts": lambda name: [ATTENTION + "readout", name],
    "estimators": lambda name: [ATTENTION + "readout", "hard", ATTENTION + "readout.estimator", name],
    "fusions": lambda name: [DECODER + "fusion", name],
    "cells": lambda name: ["--model.encoder.cell", name, DECODER + "cell", name],
    "intras": lambda name: ["--model.encoder.intra", name, DECODER + "intra", name],
}
# What some need besides: sizes, and scores that compare as they are need queries of the keys' size (fusion combine queries with [y; s]).
MORE = {
    "score position": [ATTENTION + "positions", 40],
    "support window": [ATTENTION + "support.left", 10, ATTENTION + "support.right", 10],
    "support block": [ATTENTION + "support.size", 10, ATTENTION + "support.look_back", 1],
    "support monotonic": [ATTENTION + "support.half_width", 10],
    "support predictive": [ATTENTION + "support.half_width", 5],
}
# Variants that are no line of a list.
BESIDES = {
    "score additive, score_vector ones": [ATTENTION + "score_vector", "ones"],
    "score cosine, scale 10 fixed": [ATTENTION + "score", "cosine", ATTENTION + "scale", 10, ATTENTION + "learned_scale", "false"],
    "score position, fusion combine": [ATTENTION + "score", "position", ATTENTION + "positions", 40, DECODER + "fusion", "combine"],
    "heads 4": [ATTENTION + "heads", 4],
    "heads 4, key_value_heads 2": [ATTENTION + "heads", 4, ATTENTION + "key_value_heads", 2],
    "dropout 0.1": [ATTENTION + "dropout", 0.1],
    "coverage": [ATTENTION + "coverage", "true"],
    "coverage and coverage_loss 1": [ATTENTION + "coverage", "true", "--train.coverage_loss", 1],
}
# Without a target: what these cannot do, and what helps them on this task, where a bidirectional encoder leaves something of the whole line
# at every place.
AS_IT_COMES = {
    "score linear": "the query's part is the same for every key and cancels: one map for all steps, from whose mean the state has to take the digits in turn",
    "score position": "scores places, whatever stands there: what a place's annotation says of the line has to do",
    "score position, fusion combine": "the same",
    "support window": "ten places to each side of the step's own number: most of a line, but not always the end of a long one",
    "support block": "the block of the step's number and the one before: the first twenty places at most",
    "support monotonic": "the same cells as window",
    "fusion none": "all of the source has to pass through one vector",
}

DATES = ["--text.tokenizer", "character", "--text.lowercase", "true", "--model.encoder.size", 64, "--model.encoder.embedding", 32,
         "--model.encoder.embedding_dropout", 0, "--model.encoder.dropout", 0, DECODER + "size", 128, DECODER + "embedding", 32,
         DECODER + "embedding_dropout", 0, DECODER + "dropout", 0, "--train.batch_tokens", 2000, "--train.learning_rate", 0.003,
         "--train.label_smoothing", 0, "--train.metric", "accuracy", "--train.epochs", 8]
PAIR = ["--text.tokenizer", "word", "--text.shared", "false", "--model.encoder.size", 128, "--model.encoder.embedding", 128, DECODER + "size", 256,
        DECODER + "embedding", 128, "--train.epochs", 10]


def variants():
    lists = json.loads(common.attend("mechanisms", "--json"))
    out = {"default": []}
    for entry in lists:
        if entry["list"] not in OPTIONS:  # positions, which are not of recurrent models
            continue
        for mechanism in entry["mechanisms"]:
            name = f"{entry['field']} {mechanism['name']}"
            if name not in ("score additive", "support all", "normaliser softmax", "readout soft", "readout hard", "fusion conditional", "cell gru",
                            "intra none"):
                out[name] = OPTIONS[entry["list"]](mechanism["name"]) + MORE.get(name, [])
    return {**out, **BESIDES}


def folder_of(name):
    return WORK / name.replace(" ", "_").replace(",", "")


def run(work, name, options):
    """Trains and measures one variant on both tasks."""
    folder = folder_of(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder / "log"
    result = {"name": name, "program": f"{PROGRAM} {options}"}
    common.attend("train", "--threads", 1, "--out", folder / "dates", *dates_files("train", "valid"), *DATES, *options, log=log, usage=result)
    shown = common.attend("inspect", folder / "dates")
    result["parameters"] = int(next(line for line in shown.splitlines() if "parameters" in line).split()[-1].replace(",", ""))
    if name != "fusion none":
        pair = folder / "pair"
        common.attend("train", "--threads", 1, "--out", pair, "--data.train.tsv", PAIR_FILES["train"], "--data.valid.tsv", PAIR_FILES["dev"],
                      *PAIR, *options, log=log)
        scores = json.loads(common.attend("evaluate", pair, "--threads", 1, "--input", work / "pair" / "source", "--reference",
                                          work / "pair" / "target", "--gold-alignments", work / "pair" / "gold", "--json", log=log))
        scores = {m["metric"]: m["value"] for m in scores}
        result["bleu"], result["error_rate"] = scores["bleu"], scores["alignment_error_rate"]
    (folder / "result.json").write_text(json.dumps(result))
    return result


def exact(name):
    """The share of the unseen dates that a trained variant writes right, in per cent."""
    folder = folder_of(name)
    output = common.attend("predict", folder / "dates", "--threads", 1, "--input", WORK / "dates" / "unseen.written", log=folder / "log").splitlines()
    expected = (WORK / "dates" / "unseen.iso").read_text().splitlines()
    return 100 * sum(a == b for a, b in zip(output, expected, strict=True)) / len(expected)


def dates_files(*parts):
    out = []
    for part in parts:
        out += [f"--data.{part}.source", WORK / "dates" / f"{part}.written", f"--data.{part}.target", WORK / "dates" / f"{part}.iso"]
    return out


parser = argparse.ArgumentParser()
parser.add_argument("names", nargs="*")
a = parser.parse_args()
WORK = common.WORK / "mechanisms"
PROGRAM = f"{common.digest(common.PROGRAM.parent / 'libattend_torch.so')} {DATES} {PAIR}"  # what a result is of, and its variant's options
PAIR_FILES = {part: common.data("synthetic", f"reorder_align.{part}.tsv") for part in ("train", "dev", "test")}
(WORK / "pair").mkdir(parents=True, exist_ok=True)
subprocess.run([sys.executable, common.ROOT / "examples/dates/generate.py", WORK / "dates"], check=True)
seen = set((WORK / "dates" / "test.iso").read_text().splitlines())
dates.write_set(WORK / "dates", "unseen", 1000, [day for day in dates.shares(random.Random(1))["test"] if day.isoformat() not in seen], random.Random(2))
columns = [line.split("\t") for line in PAIR_FILES["test"].read_text(encoding="utf-8").splitlines()]
for file, column in (("source", 0), ("target", 1), ("gold", 2)):
    (WORK / "pair" / file).write_text("\n".join(row[column] for row in columns) + "\n", encoding="utf-8")
wanted = variants()
for name in a.names:
    if name not in wanted:
        sys.exit(f"bench: expected names among {', '.join(wanted)}; found {name}")
results = {}
for name in wanted:
    file = folder_of(name) / "result.json"
    if file.exists() and name not in a.names:
        known = json.loads(file.read_text())
        if known["program"] == f"{PROGRAM} {wanted[name]}" or a.names:
            results[name] = known
left = [name for name in wanted if name not in results]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    for result in pool.map(lambda name: run(WORK, name, wanted[name]), left):
        results[result["name"]] = result
        print({key: value for key, value in result.items() if key != "program"}, flush=True)
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    accuracy = dict(zip(wanted, pool.map(exact, wanted)))
rows = []
for name in wanted:
    r = results[name]
    target = None if name in AS_IT_COMES else 90 if name.startswith("estimator") else 95
    rows.append([name, f"{accuracy[name]:.1f} %", "as it comes" if target is None else f">= {target} %" + ("" if accuracy[name] >= target else ": missed"),
                 f"{r['error_rate']:.3f}" if "error_rate" in r else "", f"{r['bleu']:.1f}" if "bleu" in r else "", round(r["seconds"]), r["parameters"]])
common.write("mechanisms", "What each mechanism learns", "tools/bench.sh quality/mechanisms", [], PAIR_FILES.values(), 1,
             "Each varies one thing of `default`: GRU, conditional, additive, all keys, softmax, soft. Dates: those of examples/dates, 8 epochs, "
             "1,000 of days that no set there names, exact match. Artificial pair: synthetic/reorder_align, 10 epochs, alignment error rate against the exact links. "
             "Seconds: of processor time, training on the dates, one thread. One seed each, so that a per cent or two between rows says little. As they "
             "come, and what is to be said of them here: "
             + "; ".join(f"{name} ({why})" for name, why in AS_IT_COMES.items()) + ".",
             page="mechanisms", table={"heads": ["variant", "dates, exact", "target", "pair, alignment error rate", "pair, BLEU", "seconds", "parameters"],
                                       "rows": rows})
