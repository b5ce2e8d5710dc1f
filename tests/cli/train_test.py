"""Training as a user drives it: options, texts, what it prints and writes, and every recipe for two steps."""
import fcntl
import gzip
import itertools
import json
import os
import pty
import random
import re
import struct
import subprocess
import termios
import time

import pytest

from program import ATTEND, SOAK, TINY, attend, data, expect_error, language, tensors, text_of, tree

STEPS = ["--train.steps", 4, "--train.validate_steps", 2]


def train(here, *more, out="m", status=0):
    return attend("train", *data(), *TINY, *STEPS, *more, "--out", out, cwd=here, status=status).stderr.decode()


DIVERGES = ["--train.optimiser", "sgd", "--train.momentum", "0.99", "--train.learning_rate", "10", "--train.clip", "0", "--train.ema", "0",
            "--train.schedule", "constant", "--train.epochs", "1000", "--train.steps", "3000", "--train.patience", "0"]


def test_a_config_file_and_flags_over_it(here):
    """Flags win over the file, wherever they stand; the resolved configuration says all and repeats the run."""
    (here / "run.yaml").write_text("""
task: translate
data: {train: {source: train.src, target: train.tgt}}
text: {tokenizer: character}
model: {encoder: {size: 20, embedding: 16}, decoder: {size: 24, embedding: 16}}
train: {steps: 4, batch_tokens: 600}
""")
    attend("train", "run.yaml", "--out", "m1", "--model.encoder.size", 16, "--threads", 1, cwd=here)
    attend("train", "--model.encoder.size=16", "--threads=1", "--out=m2", "run.yaml", cwd=here)
    attend("train", "--train.steps", 4, "--out", "m3", *data(), *TINY, cwd=here)
    attend("train", "m1/config.yaml", "--out", "m4", "--threads", 1, cwd=here)
    weights = [(here / m / "model.safetensors").read_bytes() for m in ("m1", "m2", "m3", "m4")]
    assert weights.count(weights[0]) == 4
    config = (here / "m1/config.yaml").read_text()
    assert config == (here / "m4/config.yaml").read_text()
    for said in ("format: 1", "size: 16", "steps: 4", "label_smoothing: 0.1", "fusion: conditional", "beam: 5"):
        assert said in config


def test_the_ways_to_give_text(here, corpus):
    """Aligned files, tables, gzip and several files of the same lines give the same model."""
    rows = language(400, 1)
    for suffix in ("src", "tgt", "tsv"):
        content = (here / f"train.{suffix}").read_bytes()
        (here / f"zipped.{suffix}.gz").write_bytes(gzip.compress(content))
        lines = content.splitlines(keepends=True)
        (here / f"first.{suffix}").write_bytes(b"".join(lines[:150]))
        (here / f"second.{suffix}.gz").write_bytes(gzip.compress(b"".join(lines[150:])))
        (here / f"dos.{suffix}").write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    (here / "reversed.tsv").write_text("".join(f"{t}\t{s}\n" for s, t, _ in rows))
    ways = [
        data(),
        ["--data.train.tsv", "train.tsv"],
        ["--data.train.tsv", "zipped.tsv.gz"],
        ["--data.train.source", "zipped.src.gz", "--data.train.target", "train.tgt"],
        ["--data.train.source", "[first.src, second.src.gz]", "--data.train.target", "[first.tgt, second.tgt.gz]"],
        ["--data.train.source.0", "first.src", "--data.train.source.1", "second.src.gz", "--data.train.target", "[first.tgt, second.tgt.gz]"],
        ["--data.train.source", "dos.src", "--data.train.target", "dos.tgt"],
        ["--data.train.tsv", "reversed.tsv", "--data.train.reverse"],
    ]
    weights = []
    for i, way in enumerate(ways):
        told = attend("train", *way, *TINY, "--train.steps", 2, "--data.cache", here / "cache", "--out", f"m{i}", cwd=here).stderr.decode()
        assert "training text: 400 lines, 400 kept" in told and "validation text: 8 lines held out of the training text" in told
        weights.append((here / f"m{i}/model.safetensors").read_bytes())
    assert weights.count(weights[0]) == len(ways)


def test_what_is_skipped_is_counted(here):
    good = language(50, 3)
    bad = [(b"", b"one"), (b"ada", b"  \t"), (b"ada \xff", b"one"), (b"a\x00da", b"one"), (b"x" * 20001, b"one")]
    rows = [(s.encode(), t.encode()) for s, t, _ in good] + bad
    padding = b"ada\n" * 20000  # a NUL in the first 64 KiB would make the whole file binary
    (here / "b.src").write_bytes(padding + b"".join(s + b"\n" for s, _ in rows))
    (here / "b.tgt").write_bytes(padding + b"".join(t + b"\n" for _, t in rows))
    told = attend("train", *data("b"), *TINY, "--train.steps", 1, "--out", "m", cwd=here).stderr.decode()
    assert "training text: 20,055 lines, 20,050 kept; skipped: 2 empty, 2 ill-encoded, 1 with too many bytes" in told
    assert "401 lines held out" in told


def test_given_validation_text(here):
    told = train(here, "--data.valid.source", "test.src", "--data.valid.target", "test.tgt")
    assert "validation text: 60 lines, 60 kept" in told and "held out" not in told


def test_plain_output_and_logs(here):
    told = train(here, "--train.steps", 12, "--train.validate_steps", 6, "--train.log_steps", 3)
    assert "\r" not in told and "\033" not in told
    assert re.search(r"model: \d+ parameters, on 1 thread\ntraining takes about \d+ MiB of memory\n", told)
    assert len(re.findall(r"^epoch [\d.]+  step \d+  loss [\d.]+  ppl [\d.]+  \d+ tok/s  rate \S+", told, re.MULTILINE)) == 4
    validations = re.findall(r"^validation at step (\d+): perplexity [\d.]+  BLEU [\d.]+  chrF2 [\d.]+  exact match [\d.]+  attention entropy [\d.]+", told, re.MULTILINE)
    assert validations == ["6", "12"]
    assert told.count("  source    ") == told.count("  output    ") == told.count("  reference ") == 6
    assert told.rstrip().endswith("the model lies in m")
    log = [json.loads(line) for line in (here / "m/log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in log if e["event"] == "train"] == [3, 6, 9, 12]
    validation = [e for e in log if e["event"] == "validation"]
    assert [e["step"] for e in validation] == [6, 12]
    assert set(validation[0]["metrics"]) == {"bleu", "chrf", "accuracy", "perplexity"} and validation[0]["attention_entropy"] > 0
    events = list((here / "m").glob("events.out.tfevents.*"))
    assert len(events) == 1
    tags = set()
    raw = events[0].read_bytes()
    while raw:  # length, checksum, record, checksum
        length = struct.unpack("<Q", raw[:8])[0]
        tags.update(re.findall(rb"(?:train|valid)/\w+", raw[12:12 + length]))
        raw = raw[16 + length:]
    assert {b"train/loss", b"train/learning_rate", b"valid/bleu", b"valid/perplexity", b"valid/attention_entropy"} <= tags


def test_a_terminal_gets_one_live_line(here):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    process = subprocess.Popen([ATTEND, "train", *data(), *TINY, "--train.steps", "120", "--train.validate_steps", "60", "--out", "m"], cwd=here,
                               stderr=slave, stdout=subprocess.DEVNULL)
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    assert process.wait(timeout=60) == 0
    live = re.findall(rb"\r\x1b\[K(epoch [^\r\n]*)", seen)
    assert live and all(len(line) < 40 for line in live), "a live line must fit to be rewritten"
    plain = re.sub(rb"\r\x1b\[K(epoch [^\r\n]*)?", b"", seen).decode()
    assert "epoch" not in plain.replace("over the", ""), "no progress line of its own"
    assert plain.count("validation at step") == 2


def test_an_error_stands_on_its_own_line_of_the_terminal(here):
    master, slave = pty.openpty()
    process = subprocess.Popen([ATTEND, "train", *data(), *TINY, *DIVERGES, "--train.warmup", "0", "--out", "m"], cwd=here, stderr=slave,
                               stdout=subprocess.DEVNULL)
    os.close(slave)
    seen = b""
    try:
        while piece := os.read(master, 65536):
            seen += piece
    except OSError:
        pass
    os.close(master)
    assert process.wait(timeout=60) == 2
    assert re.search(rb"(\n|\r\x1b\[K)attend: \[train\] expected", seen)


def test_divergence_stops_and_keeps_the_last_good_state(here):
    run = ["train", *data(), *TINY, *DIVERGES, "--train.validate_steps", "5", "--train.samples", "0", "--train.warmup", "2000"]
    told = expect_error(*run, "--out", "m", cwd=here, says=["[train]", "step", "learning rate", "is kept"])
    step, kept = int(re.search(r"at step (\d+)", told)[1]), int(re.search(r"the state of step (\d+) is kept", told)[1])
    assert kept < step and (here / "m/training/latest").read_text() == f"{kept}\n"
    for t in tensors(here / "m/model.safetensors").values():
        assert abs(t).max() < 1e30  # and no NaN
    attend("predict", "m", cwd=here, stdin="ada\n")
    attend("inspect", "m", "--verify", cwd=here)
    assert expect_error(*run, "--out", "m", cwd=here, says="is kept") == told, "the same command meets the same end"


def test_divergence_before_anything_was_saved(here):
    before = sorted(os.listdir(here))
    expect_error("train", *data(), *TINY, *DIVERGES, "--train.warmup", "0", "--train.validate_steps", "1000", "--out", "m", cwd=here, says="nothing was saved yet")
    assert sorted(os.listdir(here)) == before


def test_init_starts_from_another_model(here, corpus, tiny):
    os.symlink(corpus / tiny, here / "first")
    before = tree(corpus / tiny)
    common = ["train", *data(), "--train.batch_tokens", 600, "--train.steps", 1, "--train.learning_rate", 0, "--train.ema", 0, "--threads", 1]
    attend(*common, "--train.init", "first", "--out", "m", cwd=here)  # shape and text processing are the first model's
    now, first = tensors(here / "m/model.safetensors"), tensors(corpus / tiny / "training/10/weights.safetensors")
    published = tensors(corpus / tiny / "model.safetensors")
    assert now.keys() == first.keys() and all((now[n] == published[n]).all() for n in now)
    config = (here / "m/config.yaml").read_text()
    assert "tokenizer: character" in config and "size: 24" in config
    expect_error(*common, "--train.init", "first", "--text.tokenizer", "word", "--out", "m2", cwd=here, says="text")
    expect_error(*common, "--train.init", "first", "--model.encoder.size", 20, "--out", "m2", cwd=here, says="first/model.safetensors")
    assert not (here / "m2").exists() and tree(corpus / tiny) == before


def test_the_kept_model_is_the_mean_of_the_last_validations(here):
    train(here, "--train.average", 2, "--train.ema", 0, "--train.steps", 6, "--train.metric", "perplexity", "--train.learning_rate", 0.01, "--train.warmup", 0)
    state = here / "m/training/6"
    kept, parts = tensors(here / "m/model.safetensors"), [tensors(state / f"snapshot.{i}.safetensors") for i in range(2)]
    weights = tensors(state / "weights.safetensors")
    for name in kept:
        assert abs(kept[name] - (parts[0][name] + parts[1][name]) / 2).max() < 1e-6
        assert (parts[1][name] == weights[name]).all()


def test_guided_alignment_guides(here):
    """The alignment error rate falls much faster with gold links than without."""
    recipe = ["--text.tokenizer", "word", "--train.steps", 60, "--train.epochs", 100, "--train.validate_steps", 60, "--train.learning_rate", 0.01, "--train.warmup", 0,
              "--train.batch_tokens", 400]
    train(here, *recipe, out="plain")
    train(here, *recipe, "--train.guided_alignment", 1, "--data.train.alignments", "train.links", out="guided")
    attend("train", "--data.train.tsv", "train.tsv", *TINY, *STEPS, *recipe, "--train.guided_alignment", 1, "--out", "table", cwd=here)
    rates = {}
    for model in ("plain", "guided"):
        done = attend("evaluate", model, "--input", "test.src", "--reference", "test.tgt", "--gold-alignments", "test.links", "--json", cwd=here)
        rates[model] = next(m["value"] for m in json.loads(text_of(done)) if m["metric"] == "alignment_error_rate")
    assert rates["guided"] < 0.75 * rates["plain"], rates
    assert (here / "table/model.safetensors").read_bytes() == (here / "guided/model.safetensors").read_bytes()


RECIPES = [
    ["--train.optimiser", "adam"], ["--train.optimiser", "sgd", "--train.weight_decay", "0.01"], ["--train.schedule", "constant"],
    ["--train.schedule", "inverse_sqrt", "--train.warmup", "2"], ["--train.schedule", "cosine"], ["--train.schedule", "plateau"],
    ["--train.accumulate", "3"], ["--train.precision", "bf16"], ["--train.batch_sentences", "16"], ["--train.clip", "0"],
    ["--train.minutes", "0.01", "--train.steps", "100000"], ["--train.metric", "chrf++"], ["--train.metric", "accuracy", "--train.patience", "1"],
    ["--model.tie", "all"], ["--model.tie", "none", "--text.shared", "false"], ["--text.tokenizer", "bpe", "--text.vocabulary", "60", "--text.regularisation", "0.1"],
    ["--text.tokenizer", "unigram", "--text.vocabulary", "60", "--text.lowercase", "--text.unicode_form", "nfkc"], ["--text.tokenizer", "word", "--text.shared", "false"],
    ["--model.encoder.layers", "2", "--model.decoder.layers", "2", "--model.encoder.layer_norm", "--model.decoder.layer_norm"],
    ["--model.encoder.bidirectional", "false", "--model.decoder.size", "16", "--model.decoder.attention_size", "8"],
]


@pytest.mark.parametrize("recipe", RECIPES, ids=[" ".join(r) for r in RECIPES])
def test_recipes(here, recipe):
    told = train(here, *recipe)
    assert "finished after" in told
    assert attend("predict", "m", "--threads", 1, "--search.max_extra", 2, cwd=here, stdin="ada bel\n\n").stdout.count(b"\n") == 2


FUSIONS, CELLS, SCORES = ["none", "input", "conditional", "output", "feed"], ["rnn", "lstm", "gru"], ["additive", "general", "dot", "scaled_dot"]
GRID = list(itertools.product(FUSIONS, CELLS, SCORES))
if not SOAK:  # every pair of values
    GRID = [(f, c, SCORES[(i + j) % 4]) for (i, f), (j, c) in itertools.product(enumerate(FUSIONS), enumerate(CELLS))]


@pytest.mark.parametrize("fusion,cell,score", GRID)
def test_every_decoder(here, fusion, cell, score):
    train(here, "--model.decoder.fusion", fusion, "--model.decoder.cell", cell, "--model.encoder.cell", cell, "--model.decoder.attention.score", score,
          "--model.decoder.size", 32, "--train.steps", 2)
    done = attend("predict", "m", "--beam", 2, "--threads", 1, "--search.max_extra", 2, cwd=here, stdin="ada bel\ncor\n")
    assert done.stdout.count(b"\n") == 2


def peak_memory(process):
    """The most anonymous memory of a run that must succeed, in bytes."""
    most = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as status:
                most = max([most] + [int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon")])
        except (FileNotFoundError, ProcessLookupError):
            pass
        time.sleep(0.02)
    assert process.returncode == 0
    return most


def test_memory_does_not_grow_with_the_number_of_shapes(tmp_path):
    """Hardly two batches are of one shape, and each shape brings matrix products of its own: those kept must be few."""
    draw = random.Random(1)
    rows = [[draw.choice(["ada", "bel", "cor", "dun"]) for _ in range(draw.randint(1, 60))] for _ in range(2000)]
    (tmp_path / "s").write_text("".join(" ".join(row) + "\n" for row in rows))
    (tmp_path / "t").write_text("".join(" ".join(reversed(row)) + "\n" for row in rows))
    process = subprocess.Popen([ATTEND, "train", "--data.train.source", "s", "--data.train.target", "t", "--text.tokenizer", "word",
                                "--model.encoder.size", "64", "--model.decoder.size", "64", "--model.encoder.embedding", "64",
                                "--model.decoder.embedding", "64", "--train.precision", "bf16", "--train.batch_tokens", "600", "--data.window", "64",
                                "--threads", "1", "--train.steps", "150", "--train.validate_steps", "100000", "--out", "m"],
                               cwd=tmp_path, stderr=subprocess.DEVNULL)
    assert peak_memory(process) < 250 << 20


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind,size", [("rnn", 256), ("transformer", 256), ("transformer", 64)])
def test_memory_is_told_before_training(tmp_path, kind, size, threads):
    """Sizes and batches at which tensors are most of it; what is told is within a fifth of what is taken."""
    draw = random.Random(1)
    words = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]
    lines = "".join(" ".join(draw.choices(words, k=draw.randint(20, 30))) + "\n" for _ in range(2000))
    (tmp_path / "s").write_text(lines)
    (tmp_path / "t").write_text(lines)
    sides = [word for side in ("encoder", "decoder") for word in (f"--model.{side}.kind", kind, f"--model.{side}.size", str(size))]
    process = subprocess.Popen([ATTEND, "train", "--data.train.source", "s", "--data.train.target", "t", "--text.tokenizer", "word", *sides,
                                "--train.batch_tokens", "4000", "--threads", str(threads), "--train.steps", "5", "--train.validate_steps", "0", "--out", "m"],
                               cwd=tmp_path, stderr=subprocess.PIPE)
    most = peak_memory(process)
    told = int(re.search(rb"training takes about (\d+) MiB", process.stderr.read())[1]) << 20
    assert 0.8 < told / most < 1.25, (told, most)


@pytest.mark.skipif(not SOAK, reason="five million lines: ATTEND_SOAK=1")
def test_memory_does_not_grow_with_the_corpus(tmp_path):
    """At most 16 bytes of anonymous memory a line."""
    def peak(count):
        rows = language(1000, 1)
        for suffix, column in (("src", 0), ("tgt", 1)):
            with open(tmp_path / f"train.{suffix}", "w") as file:
                block = "".join(row[column] + "\n" for row in rows)
                for _ in range(count // 1000):
                    file.write(block)
        process = subprocess.Popen([ATTEND, "train", *data(), *TINY, "--train.steps", "20", "--text.sample_lines", "10000", "--data.hold_out_lines", "10",
                                    "--data.cache", tmp_path, "--out", f"m{count}"], cwd=tmp_path, stderr=subprocess.DEVNULL)
        return peak_memory(process)

    small, large = peak(100_000), peak(5_000_000)
    assert large - small <= 16 * 4_900_000, (small, large)
