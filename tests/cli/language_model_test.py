"""Language models as a user drives them: training on running text, generating, evaluating, showing."""
import json
import random
import re

import pytest

from program import attend, expect_error

LM = ["--task", "language_model", "--text.tokenizer", "character", "--data.context", 24, "--train.batch_sentences", 8, "--train.ema", 0,
      "--train.warmup", 5, "--threads", 1]
TRANSFORMER = ["--model.decoder.layers", 2, "--model.decoder.size", 32, "--model.decoder.feed_forward", 64, "--model.decoder.dropout", 0,
               "--model.decoder.embedding_dropout", 0, "--model.decoder.attention.self.heads", 2]
RNN = ["--model.decoder.kind", "rnn", "--model.decoder.size", 24, "--model.decoder.embedding", 16, "--model.decoder.dropout", 0,
       "--model.decoder.embedding_dropout", 0]
WAYS = {
    "transformer": TRANSFORMER,
    "window, rotary": [*TRANSFORMER, "--model.decoder.positions", "rotary", "--model.decoder.attention.self.support",
                       "{kind: window, left: 5, right: 0}"],
    "recurrent": [*RNN, "--model.decoder.fusion", "none"],
    "over its past": [*RNN, "--model.decoder.fusion", "output", "--model.decoder.attention.score", "dot"],
    "fed": [*RNN, "--model.decoder.fusion", "feed", "--model.decoder.cell", "lstm"],
    "intra": [*RNN, "--model.decoder.fusion", "none", "--model.decoder.cell", "lstm", "--model.decoder.intra", "lstmn"],
}


def text(lines, seed):
    """Lines of a grammar with something to foretell: each begins with a letter that it ends with."""
    draw = random.Random(seed)
    out = []
    for _ in range(lines):
        letter = draw.choice("abcd")
        out.append(letter + " " + " ".join(draw.choice(["lu", "mo", "ni"]) for _ in range(draw.randint(1, 3))) + " " + letter)
    return "\n".join(out) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    here = tmp_path_factory.mktemp("text")
    (here / "train.txt").write_text(text(600, 1))
    (here / "test.txt").write_text(text(50, 2))
    return here


def train(here, way, out, *more, status=0):
    return attend("train", *LM, *WAYS[way], "--data.train.text", "train.txt", "--train.steps", 12, "--train.validate_steps", 6, *more, "--out", out,
                  cwd=here, status=status).stderr.decode()


@pytest.fixture(scope="module")
def trained(folder):
    train(folder, "transformer", "trained", "--train.steps", 150, "--train.validate_steps", 150, "--train.learning_rate", 0.01)
    return "trained"


@pytest.mark.parametrize("way", WAYS)
def test_every_way_trains_generates_and_is_evaluated(folder, way):
    out = "m " + way
    told = train(folder, way, out)
    assert "validation text: the last of it held out, 12 lines" in told and "bits per character" in told
    one = attend("generate", out, "--prompt", "a lu", "--tokens", 40, "--seed", 3, cwd=folder).stdout.decode()
    assert one == attend("generate", out, "--prompt", "a lu", "--tokens", 40, "--seed", 3, cwd=folder).stdout.decode()
    assert one != attend("generate", out, "--prompt", "a lu", "--tokens", 40, "--seed", 4, cwd=folder).stdout.decode()
    assert one.startswith("a lu") and len(one) == 4 + 40 + 1
    found = json.loads(attend("evaluate", out, "--input", "test.txt", "--json", cwd=folder).stdout)
    assert [m["metric"] for m in found] == ["perplexity", "bits_per_character"] * (2 if "transformer" in way or "window" in way else 1)
    assert 1 < found[0]["value"] < 60


def test_a_trained_model_has_learned_the_text(folder, trained):
    found = json.loads(attend("evaluate", trained, "--input", "test.txt", "--json", cwd=folder).stdout)
    window, _, pieces, _ = (m["value"] for m in found)
    assert window < pieces < 2.2  # more before each token tells more
    written = attend("generate", trained, "--prompt", "b", "--tokens", 300, "--temperature", 0.3, cwd=folder).stdout.decode()
    lines = written.splitlines()[:-1]
    assert sum(bool(re.fullmatch(r"[abcd]( (lu|mo|ni))+ [abcd]", line)) for line in lines) > 0.7 * len(lines)


def test_temperature_zero_and_top_k_one_are_greedy(folder, trained):
    greedy = attend("generate", trained, "--prompt", "c mo", "--temperature", 0, cwd=folder).stdout
    assert greedy == attend("generate", trained, "--prompt", "c mo", "--top-k", 1, "--seed", 9, cwd=folder).stdout
    assert greedy == attend("generate", trained, "--prompt", "c mo", "--top-p", 0, "--seed", 5, cwd=folder).stdout
    several = attend("generate", trained, "--prompt", "a\\nb", "--samples", 3, "--tokens", 10, cwd=folder).stdout.decode().split("\n---\n")
    assert len(several) == 3 and len(set(several)) == 3 and all(s.startswith("a\nb") for s in several)
    (folder / "prompt.txt").write_text("a\nb")
    assert several[0] == attend("generate", trained, "--input", "prompt.txt", "--tokens", 10, cwd=folder).stdout.decode()[:-1]


@pytest.mark.parametrize("way", ["transformer", "over its past", "fed"])
def test_a_run_that_stops_goes_on_with_the_same_bits(folder, way):
    """The states that rows carry from piece to piece are part of the training state."""
    constant = ["--train.schedule", "constant", "--train.epochs", 100]
    train(folder, way, "whole " + way, *constant)
    train(folder, way, "parts " + way, *constant, "--train.steps", 7, "--train.validate_steps", 0)
    train(folder, way, "parts " + way, *constant, "--train.validate_steps", 0, "--extend")
    step = [folder / f"{name} {way}/training/12/weights.safetensors" for name in ("whole", "parts")]
    assert step[0].read_bytes() == step[1].read_bytes()


def test_show_is_of_the_prompt_and_what_follows(folder, trained):
    shown = json.loads(attend("show", trained, "--text", "a lu mo", "--tokens", 5, "--format", "json", "--out", "-", cwd=folder).stdout)
    example = shown["examples"][0]
    assert len(example["maps"]) == 2
    for i, one in enumerate(example["maps"]):
        assert one["path"] == f"decoder.layer{i + 1}.self"
        assert len(one["rows"]) == 12 and len(one["columns"]) == 12


@pytest.mark.parametrize("characters", [3, 16 * 24 * 2 + 1], ids=["fewer than streams", "some streams a token longer"])
def test_validation_text_of_any_length(folder, characters):
    """Rows of a recurrent model's validation, which some threads may have none of any more."""
    (folder / "valid.txt").write_text(("a lu mo a\n" * characters)[:characters])
    one, four = ([m["metrics"]["perplexity"]["value"] for line in (folder / f"on {threads}/log.jsonl").read_text().splitlines()
                  if (m := json.loads(line))["event"] == "validation"]
                 for threads in (1, 4)
                 if train(folder, "over its past", f"on {threads}", "--data.valid.text", "valid.txt", "--train.learning_rate", 0, "--threads", threads,
                          "--restart"))
    assert one == pytest.approx(four, rel=1e-6) and len(one) == 2


def test_attention_over_the_past_begins_anew_as_in_training(folder):
    """Score position knows 24 places: more are never asked of it."""
    train(folder, "over its past", "places", "--model.decoder.attention.score", "position", "--model.decoder.attention.positions", 24)
    for prompt in ("a", "a lu mo ni lu mo ni lu mo ni lu a\\nb lu"):
        assert len(attend("generate", "places", "--prompt", prompt, "--tokens", 90, cwd=folder).stdout) == len(prompt.replace("\\n", "\n")) + 91
    expect_error("train", *LM, *WAYS["over its past"], "--data.train.text", "train.txt", "--model.decoder.attention.score", "position",
                 "--model.decoder.attention.positions", 23, "--train.steps", 2, "--out", "e", cwd=folder, says="[data.context] expected at most 23 tokens")


def test_a_prompt_within_the_context_is_read_whole(folder, trained):
    """As show does, which has all of it in one look."""
    for prompt in ("d lu mo ni d", "a lu\nb mo mo", "c ni ni lu c", "b lu lu lu lu b"):
        shown = json.loads(attend("show", trained, "--text", prompt, "--tokens", 8, "--format", "json", "--out", "-", cwd=folder).stdout)
        written = attend("generate", trained, "--prompt", prompt, "--temperature", 0, "--tokens", 8, cwd=folder).stdout.decode()
        assert {t["label"]: t["text"] for t in shown["examples"][0]["texts"]}["output"] == written[:-1]


def test_a_text_of_one_long_line_is_shown_in_part(folder):
    (folder / "line.txt").write_text(" ".join(["lu mo ni"] * 1000))
    train(folder, "recurrent", "line", "--data.valid.text", "line.txt", "--train.samples", 2)
    validations = [m for line in (folder / "line/log.jsonl").read_text().splitlines() if (m := json.loads(line))["event"] == "validation"]
    assert all(len(m["samples"]) == 1 and len(m["samples"][0]["source"]) == 100 for m in validations)
    (folder / "long").write_text("lu " * 400)
    assert len(attend("generate", "line", "--input", "long", "--tokens", 300, cwd=folder).stdout) == 1200 + 301


def test_texts_come_by_any_way(folder, trained):
    plain = attend("evaluate", trained, "--input", "test.txt", cwd=folder).stdout
    (folder / "marked.txt").write_bytes(b"\xef\xbb\xbf" + (folder / "test.txt").read_bytes())
    assert plain == attend("evaluate", trained, "--input", "marked.txt", cwd=folder).stdout
    assert plain == attend("evaluate", trained, "--input", "/dev/stdin", cwd=folder, stdin=(folder / "test.txt").read_bytes()).stdout


def test_what_cannot_be_is_an_error(folder, trained):
    run = ["train", *LM, "--out", "e"]
    (folder / "blank.txt").write_text("  ")
    expect_error(*run, cwd=folder, says="[data.train.text] expected training text: --data.train.text FILE; found none")
    run += [*TRANSFORMER, "--data.train.text", "train.txt", "--train.steps", 2]
    for more, says in [
        (["--data.train.source", "train.txt"], "text alone"),
        (["--model.encoder.kind", "rnn"], "[model.encoder] expected none with task language_model"),
        (["--train.metric", "bleu"], "perplexity or bits_per_character"),
        (["--train.coverage_loss", 1], "[train.coverage_loss] expected 0 with task language_model"),
        (["--text.regularisation", 0.1], "[text.regularisation] expected 0"),
        (["--data.train.reverse", "true"], "[data.train.reverse] expected false"),
        (["--data.valid.reverse", "true"], "[data.valid.reverse] expected false"),
        (["--data.hold_out", 0], "[data.valid.text] expected a validation text"),
        (["--data.valid.text", "blank.txt", "--text.collapse_spaces", "true"], "[data.valid.text] expected a text; found nothing in it"),
        (["--model.decoder.positions", "{kind: learned, maximum: 20}"], "[data.context] expected at most 20 tokens"),
        (["--model.decoder.attention.self.layers", 2], "[model.decoder.attention.self.layers] expected a list of attentions"),
        (["--data.context", 20000], "a text of at least 40000 tokens"),
    ]:
        expect_error(*run, *more, cwd=folder, says=says)
        assert not (folder / "e").exists()
    expect_error("predict", trained, "--input", "test.txt", cwd=folder, says="one of task language_model")
    expect_error("show", trained, "--text", "a lu", cwd=folder, says="at most 24 tokens")  # 4 + 40 are more than it looks back
    expect_error("show", trained, "--text", "a lu", "--reference", "a", cwd=folder, says="--reference with a model that translates")
    for more in (["--output", "o"], ["--lowercase"], ["--tokenize", "char"]):
        expect_error("evaluate", trained, "--input", "test.txt", *more, cwd=folder, says=more[0] + " with a model that translates")
    assert not (folder / "o").exists()
    expect_error("generate", trained, "--top-p", 2, cwd=folder, says="--top-p")
