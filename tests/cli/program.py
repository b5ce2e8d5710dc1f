"""Runs the program as a user does, on a small made-up language."""
import os
import pathlib
import random
import re
import subprocess

SOURCE = pathlib.Path(os.environ.get("ATTEND_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("ATTEND_BUILD", SOURCE / "build"))
ATTEND = BUILD / "attend"
SOAK = os.environ.get("ATTEND_SOAK") == "1"

WORDS = {"ada": "one", "bel": "two", "cor": "three", "dun": "four", "eph": "five", "fin": "six", "gil": "seven", "hob": "eight"}
# Trains in about a second.
TINY = ["--text.tokenizer", "character", "--model.encoder.size", "16", "--model.encoder.embedding", "16", "--model.decoder.size", "24",
        "--model.decoder.embedding", "16", "--train.batch_tokens", "600", "--threads", "1"]


def attend(*arguments, cwd, stdin=b"", status=0, environment=None, timeout=300):
    """The finished process; its exit status must be `status` (or one of it; None: any)."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run([str(ATTEND), *map(str, arguments)], cwd=cwd, input=stdin, capture_output=True, timeout=timeout,
                          env={**os.environ, **(environment or {})})
    allowed = status if isinstance(status, tuple) else (status,)
    assert status is None or done.returncode in allowed, f"exit {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}"
    return done


def text_of(done):
    return done.stdout.decode()


def lines_of(done):
    return done.stdout.decode().split("\n")[:-1]


def expect_error(*arguments, cwd, says, status=2, stdin=b"", environment=None):
    """A failure told in one line: `attend: [part] expected ...; found ...`, with every one of `says` in it."""
    done = attend(*arguments, cwd=cwd, stdin=stdin, status=status, environment=environment)
    told = [line for line in done.stderr.decode().split("\n") if line.startswith("attend: ")]
    assert len(told) == 1, done.stderr.decode()
    assert done.stderr.decode().endswith(told[0] + "\n"), "the error is the last line"
    assert re.match(r"attend: \[[^\]]+\] (expected .+; found .+|cannot .+)", told[0]), told[0]
    for piece in [says] if isinstance(says, str) else says:
        assert piece in told[0], told[0]
    return told[0]


def language(count, seed):
    """Sentences of 1 to 6 words, their translations (word by word, in reverse), and the word links."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        words = [draw.choice(list(WORDS)) for _ in range(draw.randint(1, 6))]
        n = len(words)
        rows.append((" ".join(words), " ".join(WORDS[w] for w in reversed(words)), " ".join(f"{j}-{n - 1 - j}" for j in range(n))))
    return rows


def write_language(folder, name, count, seed):
    rows = language(count, seed)
    for suffix, column in (("src", 0), ("tgt", 1), ("links", 2)):
        (folder / f"{name}.{suffix}").write_text("".join(row[column] + "\n" for row in rows))
    (folder / f"{name}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    return rows


def data(name="train"):
    return ["--data.train.source", f"{name}.src", "--data.train.target", f"{name}.tgt"]


def tree(folder):
    """Everything in a folder: path -> bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(pathlib.Path(folder).rglob("*"))}


def tensors(path):
    """A safetensors file's float32 tensors."""
    import json
    import numpy
    raw = pathlib.Path(path).read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    return {name: numpy.frombuffer(raw[8 + length:][slice(*t["data_offsets"])], dtype="<f4").reshape(t["shape"]) for name, t in header.items()}
