"""Figures: evaluate against sacreBLEU, score against predict, average against numpy, inspect."""
import json

import numpy
import pytest
import sacrebleu

from program import TINY, attend, data, expect_error, language, lines_of, tensors, text_of


def metrics_of(done):
    return {m["metric"]: m for m in json.loads(text_of(done))}


@pytest.mark.parametrize("flags", [[], ["--lowercase"], ["--tokenize", "char"], ["--tokenize", "none"], ["--tokenize", "intl"], ["--beam", "1"]])
def test_bleu_and_chrf_are_sacrebleu_s(corpus, translator, tmp_path, flags):
    out = tmp_path / "out"
    reference = corpus / "loud.tgt"
    reference.write_text("".join(row[1].title() + ".\n" if i % 2 else row[1] + "\n" for i, row in enumerate(language(60, 2))))
    done = attend("evaluate", translator, "--input", "test.src", "--reference", "loud.tgt", "--output", out, "--json", *flags, cwd=corpus)
    found = metrics_of(done)
    outputs, references = out.read_text().splitlines(), reference.read_text().splitlines()
    lower = "--lowercase" in flags
    tokenizer = flags[1] if "--tokenize" in flags else "13a"
    bleu = sacrebleu.BLEU(lowercase=lower, tokenize=tokenizer)
    assert abs(found["bleu"]["value"] - bleu.corpus_score(outputs, [references]).score) < 0.01
    assert found["bleu"]["signature"] == str(bleu.get_signature())
    chrf = sacrebleu.CHRF(lowercase=lower)
    assert abs(found["chrf"]["value"] - chrf.corpus_score(outputs, [references]).score) < 0.01
    assert abs(found["accuracy"]["value"] - sum(o == r for o, r in zip(outputs, references)) / 60) < 1e-9
    plain = text_of(attend("evaluate", translator, "--input", "test.src", "--reference", "loud.tgt", *flags, cwd=corpus))
    assert f"= {found['bleu']['value']:.2f} " in plain and found["bleu"]["signature"] in plain


def test_alignment_error_rate(corpus, translator):
    """Against gold links by hand: AER = 1 - (|A and S| + |A and P|) / (|A| + |S|)."""
    gold = [row[2].replace("0-", "0?", 1) if i % 2 else row[2] for i, row in enumerate(language(60, 2))]
    (corpus / "gold").write_text("\n".join(gold) + "\n")
    found = metrics_of(attend("evaluate", translator, "--input", "test.src", "--reference", "test.tgt", "--gold-alignments", "gold", "--json", cwd=corpus))
    scored = [json.loads(line) for line in lines_of(attend("score", translator, "--input", "test.src", "--reference", "test.tgt", "--json", cwd=corpus))]
    both_sure = both_possible = links = sure_links = 0
    for row, line in zip(scored, gold, strict=True):
        a = set(row["alignment"].split())
        sure = {link for link in line.split() if "-" in link}
        possible = sure | {link.replace("?", "-") for link in line.split()}
        both_sure, both_possible, links, sure_links = both_sure + len(a & sure), both_possible + len(a & possible), links + len(a), sure_links + len(sure)
    rate = 1 - (both_sure + both_possible) / (links + sure_links)
    assert abs(found["alignment_error_rate"]["value"] - rate) < 1e-9
    assert rate < 0.5


def test_perplexity_is_that_of_score(corpus, translator):
    found = metrics_of(attend("evaluate", translator, "--input", "test.src", "--reference", "test.tgt", "--json", cwd=corpus))
    scores = [float(line) for line in lines_of(attend("score", translator, "--input", "test.src", "--reference", "test.tgt", cwd=corpus))]
    tokens = sum(len(row[1].split()) + 1 for row in language(60, 2))
    assert len(scores) == 60
    assert abs(found["perplexity"]["value"] / numpy.exp(-sum(scores) / tokens) - 1) < 1e-4


def test_score_gives_what_predict_gave(corpus, translator, tmp_path):
    outputs = [json.loads(line) for line in lines_of(attend("predict", translator, "--input", "test.src", "--beam", 1, "--json", cwd=corpus))]
    (tmp_path / "out").write_text("".join(o["outputs"][0]["text"] + "\n" for o in outputs))
    scored = lines_of(attend("score", translator, "--input", "test.src", "--reference", tmp_path / "out", cwd=corpus))
    for line, output in zip(scored, outputs, strict=True):
        assert abs(float(line) - output["outputs"][0]["log_prob"]) < 1e-4


def test_average(corpus, translator, tiny):
    attend("train", *data(), *TINY, "--train.steps", 10, "--train.learning_rate", 0.02, "--out", "tiny2", cwd=corpus)
    attend("average", "tiny", "tiny2", "--out", "mean", cwd=corpus)
    a, b, mean = (tensors(corpus / name / "model.safetensors") for name in ("tiny", "tiny2", "mean"))
    assert a.keys() == b.keys() == mean.keys() and any((a[n] != b[n]).any() for n in a)
    for name in a:
        assert numpy.abs(mean[name] - (a[name] + b[name]) / 2).max() <= 1e-7 * max(1, numpy.abs(a[name]).max())
    attend("predict", "mean", cwd=corpus, stdin="ada\n")
    assert "average_of: tiny, tiny2" in text_of(attend("inspect", "mean", "--verify", cwd=corpus))
    expect_error("train", *data(), *TINY, "--train.steps", 20, "--extend", "--out", "mean", cwd=corpus, says="--restart")
    expect_error("average", "tiny", "translator", "--out", "mean2", cwd=corpus, says=["translator", "text.tokenizer"])
    # the same shapes, but what they mean differs
    for score in ("dot", "scaled_dot"):
        attend("train", *data(), *TINY, "--train.steps", 2, "--model.decoder.size", 32, "--model.decoder.attention.score", score, "--out", score, cwd=corpus)
    expect_error("average", "dot", "scaled_dot", "--out", "mean2", cwd=corpus, says="model.decoder.attention.score")
    (corpus / "swapped.tgt").write_text((corpus / "train.tgt").read_text().replace("e", "E"))
    attend("train", "--data.train.source", "train.src", "--data.train.target", "swapped.tgt", *TINY, "--train.steps", 2, "--out", "swapped", cwd=corpus)
    expect_error("average", "tiny", "swapped", "--out", "mean2", cwd=corpus, says="vocabulary")
    assert not (corpus / "mean2").exists()


def test_inspect(corpus, translator):
    text = text_of(attend("inspect", translator, "--verify", cwd=corpus))
    weights = tensors(corpus / translator / "model.safetensors")
    assert f"parameters: {sum(t.size for t in weights.values())}" in text
    for name, t in weights.items():
        assert name in text and " x ".join(map(str, t.shape)) in text
    assert "translate, finished" in text and "score: additive" in text and "fusion: conditional" in text
    assert text.count("  step ") >= 2 and "best so far" in text
