"""The vocabulary at the command line: its list, illegal combinations, and runs with what the defaults leave out."""
import json

import pytest

from program import TINY, attend, data, expect_error, lines_of, text_of

A = "--model.decoder.attention."
TRAIN = ["train", "--out", "m", *data(), *TINY]


def lists():
    return json.loads(text_of(attend("mechanisms", "--json", cwd=".")))


def test_every_line_says_what_it_is():
    text = text_of(attend("mechanisms", cwd="."))
    assert {entry["list"] for entry in lists()} == {"scores", "supports", "normalisers", "readouts", "estimators", "fusions", "cells", "intras", "positions"}
    for entry in lists():
        assert f"{entry['field']}: {entry['question']}" in text
        for m in entry["mechanisms"]:
            block = text[text.index(f"\n  {m['name']} "):]
            for part in (m["formula"], m["source"], m["parameters"], "goes with: all", f"path: {m['path']}"):
                assert part in block
            for conflict in m["conflicts"]:
                assert conflict["name"] in block and conflict["reason"]
    assert "goes with: all but support predictive (its Gaussian" in text


ILLEGAL = [
    ([A + "readout", "hard", A + "normaliser", "sigmoid"], ["soft readout of sigmoid weights", "do not sum to 1"]),
    ([A + "readout", "hard", A + "support", "predictive"], "do not sum to 1"),
    ([A + "score", "dot", A + "score_vector", "ones"], ["score_vector ones with score dot", "no other score has a vector"]),
    ([A + "score", "general", A + "scale", "2"], "no other score has a scale"),
    ([A + "global_keys", "1"], "global_keys 1 with support all"),
    ([A + "support", "window", A + "support.half_width", "3"], ["half_width", "monotonic"]),
    ([A + "readout.estimator", "gumbel"], "hard"),
    ([A + "readout", "hard", A + "readout.estimator", "gumble"], "did you mean gumbel?"),
    ([A + "score", "dot", "--model.decoder.fusion", "combine"], "queries and keys of one size for score dot"),
    (["--model.encoder.intra", "lstm"], "did you mean lstmn?"),
    ([A + "score", "position", A + "positions", "3"], "[data.valid] expected lines that the model can take"),
]


@pytest.mark.parametrize("options, says", ILLEGAL, ids=[" ".join(o[-2:]) for o, _ in ILLEGAL])
def test_illegal_combinations_say_why(here, options, says):
    expect_error(*TRAIN, "--train.steps", 5, *options, cwd=here, says=says)


def test_an_input_longer_than_the_positions_is_read_in_part(here):
    attend(*TRAIN, "--train.steps", 2, A + "score", "position", A + "positions", 60, cwd=here)
    assert len(lines_of(attend("predict", "m", "--beam", 2, cwd=here, stdin="ada bel\ncor\n"))) == 2
    done = attend("predict", "m", cwd=here, stdin="ada " * 20 + "\nada bel\n")
    assert len(lines_of(done)) == 2 and b"1 of 2 lines have more than 59 tokens" in done.stderr


# One run each with much of what the defaults leave out.
RICH = {
    "hard": [A + "readout", "hard", A + "heads", 2, "--train.accumulate", 2],
    "gumbel": [A + "readout", "hard", A + "readout.estimator", "gumbel", A + "normaliser", "entmax15", A + "support", "monotonic", A + "global_keys", 1],
    "covered": [A + "coverage", "true", "--train.coverage_loss", 1, A + "score", "concat", A + "score_vector", "ones", "--model.decoder.fusion", "output"],
    "predicted": [A + "support", "predictive", A + "normaliser", "sigmoid", A + "score", "cosine", "--model.decoder.fusion", "gate",
                  "--model.encoder.size", 12],
    "intra": ["--model.encoder.intra", "lstmn", "--model.decoder.intra", "gate", "--model.encoder.cell", "lstm", "--model.encoder.layers", 2,
              "--model.decoder.intra.attention.heads", 2],
}


@pytest.mark.parametrize("name", RICH)
def test_trains_resumes_and_decodes_alike_in_any_batch(here, name):
    run = ["train", *data(), *TINY, *RICH[name], "--train.schedule", "constant", "--train.validate_steps", 4, "--train.learning_rate", 0.01]
    attend(*run, "--train.steps", 8, "--out", "whole", cwd=here)
    attend(*run, "--train.steps", 4, "--out", "parts", cwd=here)
    attend(*run, "--train.steps", 8, "--out", "parts", "--extend", cwd=here)
    assert (here / "parts/model.safetensors").read_bytes() == (here / "whole/model.safetensors").read_bytes()
    source = "".join(f"{' '.join(['ada', 'bel', 'cor', 'dun', 'eph'][: 1 + n % 5])}\n" for n in range(10))
    options = ["--beam", 3, "--search.max_length", 12]
    whole = text_of(attend("predict", "whole", *options, cwd=here, stdin=source))
    for size in (1, 7):
        assert text_of(attend("predict", "whole", *options, "--search.batch_sentences", size, cwd=here, stdin=source)) == whole
    shown = json.loads(text_of(attend("show", "whole", "--text", "ada bel cor", "--format", "json", cwd=here)))
    maps = {m["path"]: m for m in shown["examples"][0]["maps"]}
    assert "decoder.attention" in maps
    if name == "intra":
        assert {path for path in maps if path.startswith("encoder.")} == {f"encoder.{side}{layer}.intra.past.attention" for side in ("forward", "backward")
                                                                         for layer in (0, 1)}
        back = maps["decoder.cells.0.intra.past.attention"]
        assert back["columns"][0] == "<s>" and back["columns"][1:] == back["rows"][:-1]
