"""Transformers as a user drives them: mechanisms by layer, and everything that recurrent translators have."""
import json

import pytest

from program import SOURCE, attend, data, expect_error, lines_of, tensors

SMALL = [x for side in ("encoder", "decoder")
         for x in (f"--model.{side}.size", 32, f"--model.{side}.feed_forward", 64, f"--model.{side}.dropout", 0, f"--model.{side}.embedding_dropout", 0)]
STEPS = ["--train.steps", 4, "--train.validate_steps", 2, "--train.batch_tokens", 600, "--threads", 1]
BOTH = ["--model.encoder.kind", "transformer", "--model.decoder.kind", "transformer", "--model.encoder.layers", 2, "--model.decoder.layers", 2]


@pytest.fixture(scope="module")
def learned(corpus):
    """A word model that has learned most of the language."""
    attend("train", *data(), *BOTH, *SMALL, "--text.tokenizer", "word", "--model.tie", "none", "--train.batch_tokens", 400, "--train.steps", 800,
           "--train.warmup", 50, "--train.learning_rate", 0.005, "--train.epochs", 1000, "--train.label_smoothing", 0, "--train.validate_steps", 400,
           "--threads", 1, "--out", "transformer", cwd=corpus)
    return corpus, "transformer"


def maps(here, model, text):
    shown = json.loads(attend("show", model, "--text", text, "--format", "json", "--out", "-", cwd=here).stdout)
    return {one["path"]: one["weights"] for one in shown["examples"][0]["maps"]}


def seen(weights):
    """(queries, keys) with a weight in any head."""
    return {(i, j) for head in weights for i, row in enumerate(head) for j, w in enumerate(row) if w > 0}


@pytest.mark.parametrize("name, sees", [
    ("block_then_full", lambda layer, i, j: layer == 3 or 0 <= i // 16 - j // 16 <= 1),
    ("window_and_global", lambda layer, i, j: abs(i - j) <= 8 or j == 0),
    ("scores", lambda layer, i, j: True),
])
def test_four_lines_give_each_layer_its_attention(here, name, sees):
    out = attend("train", SOURCE / f"examples/layers/{name}.yaml", *data(), "--text.tokenizer", "character", "--model.encoder.size", 32,
                 "--model.encoder.feed_forward", 32, *STEPS, "--out", "m", cwd=here)
    assert b"finished" in out.stderr
    found = maps(here, "m", "ada bel cor dun eph fin gil hob ada bel cor")  # 43 letters and the end
    assert [path for path in found if path.startswith("encoder")] == [f"encoder.layer{i + 1}.self" for i in range(4)]
    for layer in range(4):
        assert seen(found[f"encoder.layer{layer + 1}.self"]) == {(i, j) for i in range(44) for j in range(44) if sees(layer, i, j)}


def test_it_learns_and_decodes(learned):
    here, model = learned
    metrics = {m["metric"]: m["value"] for m in json.loads(attend("evaluate", model, "--input", "test.src", "--reference", "test.tgt", "--json", cwd=here).stdout)}
    assert metrics["accuracy"] > 0.8
    source = (here / "test.src").read_bytes()
    one = lines_of(attend("predict", model, "--beam", 5, "--search.batch_sentences", 1, cwd=here, stdin=source))
    for size in (7, 64):
        assert one == lines_of(attend("predict", model, "--beam", 5, "--search.batch_sentences", size, "--threads", 2, cwd=here, stdin=source))
    best = lines_of(attend("predict", model, "--beam", 4, "--nbest", 3, cwd=here, stdin="ada bel cor\n"))
    assert len(best) == 3 and best[0].startswith("0 ||| three two one |||")


def test_whatever_comes_in_goes_out_a_line_each(learned):
    here, model = learned
    source = [b"ada bel", b"", b"ada " * 300, b"\xff\xfe bel", b"   ", "é\u202e\U0001f600".encode(), b"cor"]
    together = lines_of(attend("predict", model, cwd=here, stdin=b"\n".join(source) + b"\n"))
    assert together == [lines_of(attend("predict", model, cwd=here, stdin=line + b"\n"))[0] for line in source]
    assert [together[0], together[1], together[4], together[6]] == ["two one", "", "", "three"]


def test_models_are_averaged(learned):
    here, model = learned
    attend("average", model, model, "--out", "mean", cwd=here)
    mean, one = (tensors(here / name / "model.safetensors") for name in ("mean", model))
    assert mean.keys() == one.keys() and all((mean[name] == one[name]).all() for name in one)
    assert lines_of(attend("predict", "mean", cwd=here, stdin="ada bel\n")) == ["two one"]


def test_a_layer_and_head_align(learned):
    here, model = learned
    attend("predict", model, "--input", "test.src", "--alignments", "links", "--output", "out", cwd=here)
    links, source = ((here / name).read_text().splitlines() for name in ("links", "test.src"))
    assert len(links) == 60
    for line, words in zip(links, source):
        pairs = [tuple(map(int, link.split("-"))) for link in line.split()]
        assert pairs and all(i < len(words.split()) for i, _ in pairs)
    expect_error("train", *data(), *BOTH, *SMALL, *STEPS, "--model.decoder.alignment_layer", 3, "--out", "e", cwd=here, says="one of 2 layers; found 3")
    expect_error("train", *data(), *BOTH, *SMALL, *STEPS, "--model.decoder.alignment_head", 5, "--out", "e", cwd=here, says="one of 4 heads of layer 1")


def test_models_that_know_few_positions(here):
    """Longer lines are left out of training and validation, and read in part; outputs end there."""
    (here / "long.src").write_text("ada " * 30 + "\nada bel\n")
    (here / "long.tgt").write_text("one " * 30 + "\ntwo one\n")
    files = ["--data.train.source", "train.src", "--data.train.target", "train.tgt", "--data.valid.source", "long.src", "--data.valid.target", "long.tgt"]
    few = [x for side in ("encoder", "decoder") for x in (f"--model.{side}.positions", "{kind: learned, maximum: 9}")]
    told = attend("train", *files, *BOTH, *SMALL, *STEPS, *few, "--text.tokenizer", "word", "--out", "m", cwd=here).stderr.decode()
    assert "validation text: 1 lines left out, with more tokens than the model knows positions" in told
    done = attend("predict", "m", cwd=here, stdin="ada bel\n" + "cor " * 40 + "\n")
    assert len(lines_of(done)) == 2 and max(len(line.split()) for line in lines_of(done)) <= 8
    assert b"1 of 2 lines have more than 8 tokens" in done.stderr
    expect_error("evaluate", "m", "--input", "long.src", "--reference", "long.tgt", cwd=here, says="[reference] expected at most 8 tokens")
    expect_error("train", *files, *BOTH, *SMALL, *STEPS, "--model.encoder.positions", "{kind: learned, maximum: 2}", "--text.tokenizer", "word", "--out", "e",
                 cwd=here, says="[data.valid] expected lines that the model can take")
    expect_error("train", *files, *BOTH, *SMALL, *STEPS, "--model.encoder.attention.layers", 2, "--out", "e", cwd=here, says="a list of attentions")
    expect_error("train", *files, "--data.train.text", "train.src", *STEPS, "--out", "e", cwd=here, says="source and target, or tsv")


def test_a_transformer_is_trained_by_defaults_of_its_own(here):
    for more, tokens, rate in (([], 750, 0.002), (["--model.encoder.kind", "transformer"], 2000, 0.001), (["--model.decoder", "transformer"], 2000, 0.001),
                               (["--model.decoder.kind", "transformer", "--train.learning_rate", 0.003], 2000, 0.003)):
        attend("train", *data(), *more, "--text.tokenizer", "word", "--train.steps", 1, "--threads", 1, "--out", "m", "--restart", cwd=here)
        config = (here / "m/config.yaml").read_text()
        assert f"batch_tokens: {tokens}\n" in config and f"learning_rate: {rate:g}\n" in config


def test_commands_for_another_task(learned):
    here, model = learned
    expect_error("evaluate", model, "--input", "test.src", cwd=here, says="--reference FILE")
    assert attend("generate", model, "--prompt", "ada", cwd=here, status=2).stdout == b""


def test_a_guided_head_learns_the_links(here):
    out = ["--text.tokenizer", "word", "--data.train.alignments", "train.links", "--train.guided_alignment", 1, "--model.decoder.alignment_layer", 1,
           "--model.decoder.alignment_head", 2]
    attend("train", *data(), *BOTH, *SMALL, *out, "--train.batch_tokens", 400, "--train.steps", 250, "--train.warmup", 30, "--train.learning_rate", 0.005,
           "--train.epochs", 1000, "--train.validate_steps", 250, "--threads", 1, "--out", "m", cwd=here)
    found = json.loads(attend("evaluate", "m", "--input", "test.src", "--reference", "test.tgt", "--gold-alignments", "test.links", "--json", cwd=here).stdout)
    assert {m["metric"]: m["value"] for m in found}["alignment_error_rate"] < 0.1


def test_checkpointing_gives_the_same_model(here):
    run = ["train", *data(), *BOTH, *SMALL, *STEPS, "--text.tokenizer", "word", "--model.encoder.dropout", 0.2, "--model.decoder.dropout", 0.2]
    attend(*run, "--out", "kept", cwd=here)
    attend(*run, "--train.gradient_checkpointing", "true", "--out", "again", cwd=here)
    assert (here / "kept/model.safetensors").read_bytes() == (here / "again/model.safetensors").read_bytes()
    guided = ["--data.train.alignments", "train.links", "--train.guided_alignment", 1]
    attend(*run, *guided, "--out", "kept guided", cwd=here)
    attend(*run, *guided, "--train.gradient_checkpointing", "true", "--out", "again guided", cwd=here)
    assert (here / "kept guided/model.safetensors").read_bytes() == (here / "again guided/model.safetensors").read_bytes()


@pytest.mark.parametrize("encoder, decoder", [("transformer", "rnn"), ("rnn", "transformer")])
def test_any_encoder_with_any_decoder(here, encoder, decoder):
    attend("train", *data(), "--text.tokenizer", "word", "--model.encoder.kind", encoder, "--model.decoder.kind", decoder, "--model.encoder.size", 32,
           "--model.decoder.size", 32, "--model.tie", "none", *STEPS, "--out", "m", cwd=here)
    assert len(lines_of(attend("predict", "m", cwd=here, stdin="ada bel\n\ncor\n"))) == 3


def test_a_model_needs_an_encoder_to_translate(here):
    expect_error("train", *data(), "--model.encoder.kind", "none", *STEPS, "--out", "m", cwd=here, says="with task translate; found none")
