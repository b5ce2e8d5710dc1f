"""Training and decoding of recurrent translators by this program and by an earlier one, in turns: the same options, seed and updates.

  before_after.py --before PROGRAM --commit ITS_COMMIT [--rounds 3] [--steps 120] [--teach 800] [--threads 1,2]

Training: the median of the log's tokens/s after the first twenty updates. Decoding: test_2016 in batches of 64 by one model that this program
teaches for `teach` updates; the start of the program is left out. What both learn and write is compared before a speed counts."""
import argparse
import itertools
import shutil
import statistics
import sys
import time

import common

parser = argparse.ArgumentParser()
parser.add_argument("--before", required=True)
parser.add_argument("--commit", required=True)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--steps", type=int, default=120)
parser.add_argument("--teach", type=int, default=800)
parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2])
a = parser.parse_args()

PROGRAMS = {"before": a.before, "now": common.PROGRAM}
DECODER = "--model.decoder."
MODELS = {
    "as it comes (GRU, conditional, additive)": [],
    "LSTM, input feeding, general": ["--model.encoder.cell", "lstm", DECODER + "cell", "lstm", DECODER + "fusion", "feed",
                                     DECODER + "attention.score", "general"],
}
work = common.folder("before_after")
files = {(part, side): common.data("multi30k", f"{part}.{side}") for part in ("train", "val", "test_2016_flickr") for side in ("de", "en")}
test = files["test_2016_flickr", "de"].read_text(encoding="utf-8").splitlines()
ALIKE = 0.02  # how far the mean losses of the same updates may be apart: float sums in another order
SAME_LINES = 0.97  # of outputs: near ties may be decided otherwise


def train(program, options, steps, threads, out):
    shutil.rmtree(out, ignore_errors=True)
    common.attend("train", "--data.train.source", files["train", "de"], "--data.train.target", files["train", "en"], "--data.valid.source",
                  files["val", "de"], "--data.valid.target", files["val", "en"], "--train.batch_sentences", 64, "--train.steps", steps,
                  "--train.log_steps", 20, "--threads", threads, "--out", out, *options, log=work / "train.log", program=PROGRAMS[program])
    lines = common.log_lines(out, "train")
    return statistics.median(line["tokens_per_second"] for line in lines[1:]), statistics.mean(line["loss"] for line in lines)


def decode(program, model, beam, threads):
    """Sentences a second, and the outputs."""
    seconds = []
    for name, text in (("one", [min(test, key=len)]), ("all", test)):
        source, target = work / f"{name}.de", work / f"{name}.{program}.en"
        source.write_text("\n".join(text) + "\n", encoding="utf-8")
        begin = time.perf_counter()
        common.attend("predict", model, "--input", source, "--output", target, "--beam", beam, "--search.batch_sentences", 64, "--threads", threads,
                      program=PROGRAMS[program])
        seconds.append(time.perf_counter() - begin)
    return len(test) / (seconds[1] - seconds[0]), target.read_text(encoding="utf-8").splitlines()


def beside(label, unit, run):
    """The figures of what `run(program)` returns first, and of the last round's second."""
    speed, last = {name: [] for name in PROGRAMS}, {}
    for _, name in itertools.product(range(a.rounds), PROGRAMS):
        value, last[name] = run(name)
        speed[name].append(value)
    found = [common.figure(f"{label}: {name}", values, unit) for name, values in speed.items()]
    return [*found, common.figure(f"{label}: now / before", [x / y for x, y in zip(speed["now"], speed["before"])], "x")], last


figures = []
for model, options in MODELS.items():
    for threads in a.threads:
        label = f"{model}, {threads} thread{'s' * (threads > 1)}"
        new, losses = beside(f"training, {label}", "target tokens/s", lambda name: train(name, options, a.steps, threads, work / name))
        print(f"{label}: mean loss {losses['before']:.4f} before, {losses['now']:.4f} now", flush=True)
        if abs(losses["now"] - losses["before"]) > ALIKE:
            sys.exit(f"bench: expected both to learn alike; found losses of {losses}")
        figures += new
    train("now", options, a.teach, a.threads[-1], work / "taught")
    for threads, beam in itertools.product(a.threads, (1, 5)):
        label = f"{model}, beam {beam}, {threads} thread{'s' * (threads > 1)}"
        new, outputs = beside(f"decoding, {label}", "sentences/s", lambda name: decode(name, work / "taught", beam, threads))
        same = sum(x == y for x, y in zip(outputs["before"], outputs["now"])) / len(test)
        print(f"{label}: {same:.1%} of the lines are the same", flush=True)
        if same < SAME_LINES:
            sys.exit(f"bench: expected the same outputs of nearly all lines; found {same:.1%}")
        figures += new
threads = " and ".join(map(str, a.threads))
common.write("before_after", "Recurrent translators on fused attention, Multi30k de-en, batches of 64",
             f"tools/bench.sh before_after --before PROGRAM --commit {a.commit}", figures, files.values(), threads,
             f"Before: the program of {a.commit}, whose attention is composed but for additive scores. train.precision auto. Both take the same "
             "updates from the same seed and decode with the same model; a decoding's start is left out.")
