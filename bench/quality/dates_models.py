"""Any encoder with any decoder, and Transformers with each way to tell positions apart: do they learn dates? Runs two at a time with one thread
each and a fixed number of epochs.

  dates_models.py"""
import concurrent.futures
import pathlib
import random
import shutil
import subprocess
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parents[2] / "examples/dates")]
import common
import generate as dates

WORK = common.WORK / "dates_models"
BASE = ["--text.tokenizer", "character", "--text.lowercase", "true", "--model.tie", "none", "--train.batch_tokens", 2000, "--train.warmup", 200, "--train.label_smoothing", 0,
        "--train.metric", "accuracy"]
STACK = {"transformer": ["kind", "transformer", "layers", 3, "size", 128, "feed_forward", 256, "embedding_dropout", 0, "dropout", 0],
         "rnn": ["size", 128, "embedding", 32, "embedding_dropout", 0, "dropout", 0]}
EPOCHS, RATE = {"rnn": 8, "transformer": 16}, {"rnn": 0.003, "transformer": 0.001}


def options(encoder, decoder, positions="sinusoidal"):
    out = []
    for side, kind in (("encoder", encoder), ("decoder", decoder)):
        words = STACK[kind] + (["positions", positions] if kind == "transformer" else [])
        out += [word if i % 2 else f"--model.{side}.{word}" for i, word in enumerate(words)]
    slower = "transformer" if "transformer" in (encoder, decoder) else "rnn"
    return out + ["--train.epochs", EPOCHS[slower], "--train.learning_rate", RATE[slower]]


positions = [line.split("(")[1].split(",")[0] for line in (common.ROOT / "attend/spec/positions.def").read_text().splitlines() if line.startswith("ATTEND_POSITION")]
RUNS = {f"{e} encoder, {d} decoder": options(e, d) for e in ("rnn", "transformer") for d in ("rnn", "transformer")}
RUNS |= {f"transformer, positions {p}": options("transformer", "transformer", p) for p in positions if p != "sinusoidal"}


def run(name):
    out, log, usage = WORK / name.replace(" ", "_").replace(",", ""), WORK / "log", {}
    files = [x for part in ("train", "valid") for side, end in (("source", "written"), ("target", "iso"))
             for x in (f"--data.{part}.{side}", WORK / "dates" / f"{part}.{end}")]
    common.attend("train", "--threads", 1, "--out", out, *files, *BASE, *RUNS[name], log=log, usage=usage)
    output = common.attend("predict", out, "--threads", 1, "--input", WORK / "dates" / "unseen.written", log=log).splitlines()
    expected = (WORK / "dates" / "unseen.iso").read_text().splitlines()
    return 100 * sum(a == b for a, b in zip(output, expected, strict=True)) / len(expected), usage["seconds"]


shutil.rmtree(WORK, ignore_errors=True)
WORK.mkdir(parents=True)
subprocess.run([sys.executable, common.ROOT / "examples/dates/generate.py", WORK / "dates"], check=True)
seen = set((WORK / "dates" / "test.iso").read_text().splitlines())
dates.write_set(WORK / "dates", "unseen", 1000, [day for day in dates.shares(random.Random(1))["test"] if day.isoformat() not in seen], random.Random(2))
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    results = dict(zip(RUNS, pool.map(run, RUNS)))
rows = [[name, f"{exact:.1f} %", ("as it comes" if name.endswith("none") else ">= 98 %" + ("" if exact >= 98 else ": missed")), round(seconds)]
        for name, (exact, seconds) in results.items()]
common.write("dates_models", "Any encoder with any decoder", "tools/bench.sh quality/dates_models", [], (), 1,
             "Dates of examples/dates, 1,000 of days that no set there names, exact match. Transformers: 3 layers of width 128, 16 epochs; recurrent alone: 8. One "
             "seed each. Positions none: a decoder tells places apart by what it can see, the encoder does not.",
             table={"heads": ["model", "dates, exact", "target", "seconds"], "rows": rows})
