"""Local attention on long inputs: a generated monotone task of 400 tokens, the accuracy of each support and the cells that it attends to.

Every output token is its source token's partner under a fixed permutation, so that step i reads position i; only the text around tells
positions apart. Training lines have 20 to 400 tokens, test lines 400. Equal updates, one thread, two runs at a time. The sizes of the supports
were chosen with other lines in sight (seed 1) than those reported (seed 2). Also draws what each looks at on one test line,
docs/pictures/long_monotone.png."""
import concurrent.futures
import json
import operator
import pathlib
import random
import shutil
import statistics
import struct
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common

LENGTH, SYMBOLS, SIZES = 400, 40, {"train": 4000, "valid": 20, "test": 500}
SUPPORT = "--model.decoder.attention.support"
# Keys that a step sees of LENGTH + 1, the end symbol among them; none: all.
VARIANTS = {
    "all": ([], None),
    "window, left 10, right 10": ([SUPPORT, "window", SUPPORT + ".left", 10, SUPPORT + ".right", 10], 21),
    "block, size 20, look_back 1": ([SUPPORT, "block", SUPPORT + ".size", 20, SUPPORT + ".look_back", 1], 40),
    "monotonic, half_width 10": ([SUPPORT, "monotonic", SUPPORT + ".half_width", 10], 21),
    "predictive, half_width 80": ([SUPPORT, "predictive", SUPPORT + ".half_width", 80], 161),
}
OPTIONS = ["--text.tokenizer", "word", "--text.shared", "false", "--data.max_length", LENGTH + 1, "--model.encoder.size", 64,
           "--model.encoder.embedding", 32, "--model.encoder.embedding_dropout", 0, "--model.encoder.dropout", 0, "--model.decoder.size", 128,
           "--model.decoder.embedding", 32, "--model.decoder.embedding_dropout", 0, "--model.decoder.dropout", 0, "--train.batch_tokens",
           20 * (LENGTH + 1), "--model.decoder.fusion", "output", "--train.learning_rate", 0.003, "--train.label_smoothing", 0, "--train.metric", "perplexity", "--train.epochs", 8,
           "--train.samples", 0, "--search.max_length", LENGTH + 10]


def generate(folder):
    chance = random.Random(1)
    source = [f"{chance.choice('bdfgklmnprstvz')}{chance.choice('aeiou')}{number}" for number in range(SYMBOLS)]
    target = [word.upper() for word in chance.sample(source, SYMBOLS)]
    folder.mkdir(parents=True, exist_ok=True)
    for part, size in SIZES.items():
        if part == "test":
            chance = random.Random(2)
        lengths = [chance.randint(20, LENGTH) if part == "train" else LENGTH for _ in range(size)]
        rows = [[chance.randrange(SYMBOLS) for _ in range(length)] for length in lengths]
        for side, words in (("source", source), ("target", target)):
            (folder / f"{part}.{side}").write_text("\n".join(" ".join(words[i] for i in row) for row in rows) + "\n")


def edits(found, expected):
    """The least number of tokens inserted, deleted or replaced."""
    row = list(range(len(expected) + 1))
    for i, token in enumerate(found, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(expected, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (token != other))
    return row[-1]


def run(name):
    """Trains a variant, unless this program did; of each test line the shares of tokens in place, tokens right but for edits, and whether all
    of it is right, in per cent."""
    model = WORK / name.split(",")[0]
    log, program = model.with_suffix(".log"), model.with_suffix(".program")
    if not program.exists() or program.read_text() != PROGRAM + " " + name:
        shutil.rmtree(model, ignore_errors=True)
        log.unlink(missing_ok=True)
        files = [word for part in ("train", "valid") for side in ("source", "target") for word in (f"--data.{part}.{side}", WORK / f"{part}.{side}")]
        common.attend("train", "--threads", 1, "--out", model, *files, *OPTIONS, *VARIANTS[name][0], log=log)
        program.write_text(PROGRAM + " " + name)
    output = common.attend("predict", model, "--threads", 1, "--input", WORK / "test.source", "--beam", 1, log=log).splitlines()
    pairs = [(o.split(), e.split()) for o, e in zip(output, (WORK / "test.target").read_text().splitlines(), strict=True)]
    return name, [[100 * sum(map(operator.eq, o, e)) / LENGTH for o, e in pairs], [100 - 100 * edits(o, e) / LENGTH for o, e in pairs],
                  [100 * (o == e) for o, e in pairs]]


def interval(first, second):
    """The difference of two means over the same lines and its 95 % interval, by a paired bootstrap over the lines."""
    differences, chance = [a - b for a, b in zip(first, second, strict=True)], random.Random(3)
    means = sorted(statistics.mean(chance.choices(differences, k=len(differences))) for _ in range(2000))
    return statistics.mean(differences), means[49], means[1949]


def map_of(name):
    """The weights of the first test line, rows of numbers from 0 to 1."""
    line = (WORK / "test.source").read_text().splitlines()[0]
    shown = json.loads(common.attend("show", WORK / name.split(",")[0], "--threads", 1, "--text", line, "--format", "json", log=WORK / "show.log"))
    weights = shown["examples"][0]["maps"][0]["weights"]
    return weights[0] if isinstance(weights[0][0], list) else weights


def draw(file, maps):
    """Grey pictures side by side, a pixel a weight, dark where it is heavy: the square root, so that light ones show."""
    height, gap = LENGTH + 1, 12
    lines = []
    for i in range(height):
        line = bytearray()
        for weights in maps:
            row = weights[i] if i < len(weights) else []
            line += bytes(255 - round(255 * min(1, w) ** 0.5) for w in row[:height]) + bytes([255] * (height - min(len(row), height) + gap))
        lines.append(b"\0" + bytes(line))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    header = struct.pack(">IIBBBBB", len(lines[0]) - 1, height, 8, 0, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(lines), 9)) + chunk(b"IEND", b""))


WORK = common.WORK / "long_monotone"
PROGRAM = f"{common.digest(common.PROGRAM.parent / 'libattend_torch.so')} {OPTIONS} {SIZES['train']} {SIZES['valid']} {LENGTH} {SYMBOLS}"  # what a model is of
generate(WORK)
names = [name for name in VARIANTS if not sys.argv[1:] or name.split(",")[0] in sys.argv[1:]]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    results = {}
    for name, found in pool.map(run, names):
        results[name] = found
        in_place, but_for_edits, right = map(statistics.mean, found)
        print(f"{name}: {in_place:.2f} % in place, {but_for_edits:.3f} % but for edits, {right:.1f} % of lines", flush=True)
if len(names) < len(VARIANTS):
    sys.exit("bench: without names the table is written")
draw(common.ROOT / "docs/pictures/long_monotone.png", [map_of(name) for name in results])
rows, verdicts = [], []
for name, found in results.items():
    in_place, but_for_edits, right = map(statistics.mean, found)
    seen = VARIANTS[name][1]
    target = "" if seen is None else ">= 95 %" + ("" if in_place >= 95 else ": missed")
    against = [interval(of_variant, of_all) for of_variant, of_all in zip(found, results["all"])]
    shown = [""] * 2 if seen is None else [f"{mean:+.3f} ({low:+.3f} to {high:+.3f})" for mean, low, high in against[:2]]
    rows.append([name, f"{in_place:.2f} %", target, shown[0], f"{but_for_edits:.3f} %", shown[1], f"{right:.1f} %",
                 "100 %" if seen is None else f"{100 * seen / (LENGTH + 1):.1f} %"])
    if seen is not None and 2 * seen <= LENGTH + 1:
        _, low, high = against[0]
        verdicts.append(f"{name}: {'below all' if high < 0 else 'above all' if low > 0 else 'not told apart from all'}")
common.write("long_monotone", f"Long input: a monotone task of {LENGTH} tokens", "tools/bench.sh quality/long_monotone", [], [], 1,
             f"{SIZES['test']} unseen sequences, greedy. In place: output tokens equal to those at their place, so that one slip spoils the rest of its "
             "line. But for edits: 100 % less the edit distance, a token. Against all: the difference with the 95 % interval of a paired bootstrap over "
             f"the lines. In place, of those with at most half of its cells: {'; '.join(verdicts)}. What each looks at on one test line, from left to "
             "right in this order:\n\n"
             "![Five maps of 401 by 401 weights](pictures/long_monotone.png)", page="mechanisms",
             table={"heads": ["support", "in place", "target", "against all", "but for edits", "against all", "lines right", "attended cells"], "rows": rows})
