"""Recurrent language models on tinyshakespeare that attend over their own past, of equally many parameters and as many updates: bits per
character of the validation text. Two runs at a time with one thread each.

  shakespeare_recurrent.py"""
import concurrent.futures
import functools
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common
import shakespeare

UPDATES, PARAMETERS = 2000, 800_000
WORK = common.folder("shakespeare_recurrent")
TEXTS, VALID = shakespeare.write_texts(WORK)
DECODER = "--model.decoder."
BASE = ["--task", "language_model", "--text.tokenizer", "character", "--data.context", 128, "--train.batch_sentences", 32, DECODER + "kind", "rnn",
        DECODER + "cell", "lstm", DECODER + "embedding", 128, DECODER + "embedding_dropout", 0, DECODER + "dropout", 0.1, "--train.learning_rate", 0.002,
        "--train.weight_decay", 0, "--train.ema", 0, "--train.patience", 0, "--train.samples", 0, "--train.epochs", 1000, "--model.tie", "none"]
WAYS = {  # the longest run first, for its second processor
    "intra: lstmn": [DECODER + "fusion", "none", DECODER + "intra", "lstmn"],
    "none": [DECODER + "fusion", "none"],
    "dot": [DECODER + "fusion", "output", DECODER + "attention.score", "dot"],
    "additive": [DECODER + "fusion", "output", DECODER + "attention.score", "additive"],
}


def name(way):
    return way.split()[-1]


@functools.cache
def parameters(way, size):
    """As the program counts them, of a model after one update on a part of the text."""
    out, few = WORK / f"count.{name(way)}.{size}", WORK / "few.txt"
    few.write_text("".join(sorted(set(TEXTS[1].read_text(encoding="utf-8")))) + VALID.read_text(encoding="utf-8")[:5000], encoding="utf-8")
    common.attend("train", "--data.train.text", few, "--data.valid.text", few, *BASE, *WAYS[way], DECODER + "size", size, "--train.steps", 1, "--threads", 1,
                  "--out", out, log=WORK / "count.log")
    return int(re.search(r"^parameters: (\d+)$", common.attend("inspect", out), re.M)[1])


def size_of(way):
    """The largest, of multiples of 4, with at most PARAMETERS parameters."""
    low, high = 16, 1024
    while high - low > 4:
        middle = (low + high) // 8 * 4
        low, high = (middle, high) if parameters(way, middle) <= PARAMETERS else (low, middle)
    return low


def run(way, size):
    out, log = WORK / name(way), WORK / f"{name(way)}.log"
    usage = {}
    common.attend("train", *TEXTS, *BASE, *WAYS[way], DECODER + "size", size, "--train.steps", UPDATES, "--train.validate_steps", UPDATES // 6, "--threads", 1,
                  "--out", out, log=log, usage=usage)
    found = {m["metric"]: m["value"] for m in json.loads(common.attend("evaluate", out, "--input", VALID, "--threads", 1, "--json", log=log))}
    return found["bits_per_character"], usage["seconds"]


sizes = {way: size_of(way) for way in WAYS}
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    results = dict(zip(WAYS, pool.map(lambda way: run(way, sizes[way]), WAYS)))
rows = [[way, sizes[way], parameters(way, sizes[way]), f"{bits:.3f}", round(seconds)] for way, (bits, seconds) in sorted(results.items(), key=lambda one: -one[1][0])]
common.write("shakespeare_recurrent", "Recurrent language models that look back, tinyshakespeare", "tools/bench.sh quality/shakespeare_recurrent", [],
             [shakespeare.INPUT], 1, f"LSTM, {UPDATES:,} updates of 32 rows of 128 characters, the state carried on. dot and additive: attention over the states before, "
             "taken in by fusion output. One seed each.",
             table={"heads": ["attention over its past", "size", "parameters", "bits per character", "seconds"], "rows": rows})
