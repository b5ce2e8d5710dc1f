#!/usr/bin/env python3
"""Draws docs/pictures/mechanisms.svg: one sentence as eight mechanisms look at it, side by side. Trains eight small translators on made-up
sentences, a minute each.

mechanisms.py [FILE]
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SENTENCE = "Die junge Lehrerin weiß, dass der Nachbar gestern das rote Fahrrad gekauft hat."
ATTENTION = "--model.decoder.attention."
VARIANTS = {
    "score additive, the default": [],
    "score cosine": [ATTENTION + "score", "cosine"],
    "score linear": [ATTENTION + "score", "linear"],
    "support monotonic, half_width 3": [ATTENTION + "support", "monotonic", ATTENTION + "support.half_width", "3"],
    "support predictive, half_width 4": [ATTENTION + "support", "predictive", ATTENTION + "support.half_width", "4"],
    "normaliser sparsemax": [ATTENTION + "normaliser", "sparsemax"],
    "normaliser sigmoid": [ATTENTION + "normaliser", "sigmoid"],
    "readout hard, by REINFORCE": [ATTENTION + "readout", "hard"],
}
COLUMNS, WIDTH, HEIGHT, CAPTION = 4, 420, 410, 26


def attend(*arguments):
    subprocess.run([ROOT / "build/attend", *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)


def draw(work, name, options):
    """One map as an SVG element of WIDTH x HEIGHT, without a title of its own."""
    model = work / re.sub(r"\W+", "_", name)
    attend("train", "--out", model, "--threads", 2, "--data.train.source", work / "train.de", "--data.train.target", work / "train.en",
           "--data.valid.source", work / "valid.de", "--data.valid.target", work / "valid.en", "--text.tokenizer", "word", "--text.shared", "false",
           "--model.encoder.size", 64, "--model.encoder.embedding", 64, "--model.decoder.size", 128, "--model.decoder.embedding", 64,
           "--train.batch_tokens", 1000, "--train.learning_rate", 0.003, "--train.epochs", 5, *options)
    file = model.with_suffix(".svg")
    attend("show", model, "--format", "svg", "--out", file, "--text", SENTENCE)
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"<title>.*?</title>\n", "", text)
    text = re.sub(r'<text x="12" y="22".*?</text>\n', "", text)
    return re.sub(r'<svg xmlns="\S+" width="\S+" height="\S+"', f'<svg y="{CAPTION}" width="{WIDTH}" height="{HEIGHT}"', text, count=1)


def main():
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/pictures/mechanisms.svg"
    rows = -(-len(VARIANTS) // COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        subprocess.run([sys.executable, ROOT / "examples/sentences/generate.py", work], check=True)
        parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{COLUMNS * WIDTH}" height="{rows * (HEIGHT + CAPTION)}" font-family="system-ui, '
                 "'Noto Sans', 'DejaVu Sans', sans-serif\" role=\"img\">\n<title>One sentence under eight mechanisms</title>\n"
                 '<rect width="100%" height="100%" fill="#fff"/>\n']
        for i, (name, options) in enumerate(VARIANTS.items()):
            print(name, flush=True)
            parts.append(f'<g transform="translate({i % COLUMNS * WIDTH} {i // COLUMNS * (HEIGHT + CAPTION)})">\n'
                         f'<text x="12" y="20" font-size="15" font-weight="600">{name}</text>\n{draw(work, name, options)}</g>\n')
        target.write_text("".join(parts) + "</svg>\n", encoding="utf-8")


if __name__ == "__main__":
    main()
