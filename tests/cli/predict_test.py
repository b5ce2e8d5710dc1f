"""What comes out of `predict` and `show`, for text of every kind."""
import json
import pty
import os
import select
import subprocess
import time

import pytest

from program import ATTEND, SOAK, WORDS, attend, language, lines_of, text_of

HOSTILE = [b"", b"   \t ", b"ada", b"ada\r", b"\xef\xbb\xbfada", b"\xff\xfe\x00ada", b"ada\x00bel", "ada 🙂 bel👩‍👩‍👧‍👦".encode(),
           "ＡＤＡ　ｂｅｌ".encode(), b"\x1b[31mada\x1b[0m", b"<script>", b"</s> <unk> <pad>", b"\xc3\x28 \xed\xa0\x80", "a\u0301" .encode() * 50,
           b"\\n %s %n ||| \"'", b"ada bel cor"]


def predict(corpus, model, text, *flags, status=0):
    return attend("predict", model, "--threads", 1, *flags, cwd=corpus, stdin=text, status=status)


@pytest.mark.parametrize("model", ["translator", "tiny"])
def test_line_for_line(corpus, model, translator, tiny):
    """One line out for each line in, empty for empty, whatever the bytes."""
    done = predict(corpus, model, b"\n".join(HOSTILE) + b"\n", "--search.max_extra", 5)
    rows = done.stdout.split(b"\n")[:-1]
    assert len(rows) == len(HOSTILE)
    assert rows[0] == rows[1] == b""
    assert rows[2] == rows[3] and rows[2]  # the carriage return is no text
    done.stdout.decode()
    alone = [predict(corpus, model, line + b"\n", "--search.max_extra", 5).stdout for line in HOSTILE[4:9]]
    assert alone == [row + b"\n" for row in rows[4:9]]


def test_without_input(corpus, tiny):
    assert predict(corpus, tiny, b"").stdout == b""
    assert predict(corpus, tiny, b"\n").stdout == b"\n"
    assert predict(corpus, tiny, b"ada").stdout == predict(corpus, tiny, b"ada\n").stdout  # the last line end may be missing


def test_it_translates(corpus, translator):
    rows = language(60, 2)
    outputs = lines_of(predict(corpus, translator, (corpus / "test.src").read_bytes()))
    right = sum(out == row[1] for out, row in zip(outputs, rows))
    assert right >= 50, right


def test_files(corpus, translator, tmp_path):
    expected = predict(corpus, translator, (corpus / "test.src").read_bytes()).stdout
    attend("predict", translator, "--input", "test.src", "--output", tmp_path / "out", "--alignments", tmp_path / "links", cwd=corpus)
    assert (tmp_path / "out").read_bytes() == expected
    assert sorted(os.listdir(tmp_path)) == ["links", "out"]
    os.symlink(tmp_path / "out", tmp_path / "alias")
    attend("predict", translator, "--output", tmp_path / "alias", cwd=corpus, stdin="ada\n")
    assert (tmp_path / "alias").is_symlink() and (tmp_path / "out").read_bytes().count(b"\n") == 1


def test_batches_and_threads_do_not_matter(corpus, translator):
    """The same lines in batches of 1, 7 and 64 and on 1 and 2 threads."""
    text = (corpus / "test.src").read_bytes()
    for flags in ([], ["--sample", "--seed", 5], ["--nbest", 3, "--json"]):
        whole = predict(corpus, translator, text, *flags).stdout
        for variant in (["--search.batch_sentences", 1], ["--search.batch_sentences", 7, "--threads", 2], ["--search.batch_tokens", 20]):
            other = predict(corpus, translator, text, *flags, *variant).stdout
            if "--json" not in flags:
                assert other == whole, (flags, variant)
                continue
            for a, b in zip(whole.splitlines(), other.splitlines(), strict=True):
                for one, two in zip(json.loads(a)["outputs"], json.loads(b)["outputs"], strict=True):
                    assert one["text"] == two["text"] and abs(one["log_prob"] - two["log_prob"]) < 1e-4


def test_more_lines_than_are_held_at_once(corpus, tiny):
    """Order is kept, and the draws of a line are its own, wherever the input is cut."""
    count = 9000 if SOAK else 4200
    text = b"".join(b"ada\n" if i % 3 else b"\n" for i in range(count))
    rows = lines_of(predict(corpus, tiny, text, "--sample", "--search.max_extra", 0, "--search.max_ratio", 2))
    assert len(rows) == count
    assert all((row == "") for row in rows[::3])
    assert len(set(rows[1:4096:3] + rows[2:4096:3])) > 100
    assert rows[:100] != rows[4098:4198]


def test_sampling(corpus, translator):
    draw = lambda *flags: lines_of(predict(corpus, translator, b"ada bel cor dun\n" * 20, *flags))
    first = draw("--temperature", 2, "--seed", 1)
    assert first == draw("--temperature", 2, "--seed", 1)
    assert first != draw("--temperature", 2, "--seed", 2)
    assert len(set(first)) > 5, "every line draws for itself"
    assert len(set(draw("--temperature", 0))) == 1
    assert len(set(draw("--top-k", 1))) == 1
    assert set(draw("--top-p", 0.01)) == set(draw("--top-k", 1)) == set(draw("--beam", 1))


def test_nbest(corpus, translator):
    plain = lines_of(predict(corpus, translator, b"ada bel\n\ncor\n", "--nbest", 3, "--beam", 4))
    assert [row.split(" ||| ")[0] for row in plain] == ["0"] * 3 + ["1"] + ["2"] * 3
    rows = [json.loads(row) for row in lines_of(predict(corpus, translator, b"ada bel\n\ncor\n", "--nbest", 3, "--beam", 4, "--json"))]
    assert [row["line"] for row in rows] == [0, 1, 2] and rows[0]["source"] == "ada bel"
    for row in rows:
        scores = [o["score"] for o in row["outputs"]]
        assert scores == sorted(scores, reverse=True)
    for output in rows[0]["outputs"] + rows[2]["outputs"]:
        assert output["complete"] and len(output["piece_log_probs"]) == len(output["pieces"]) + 1
        assert abs(sum(output["piece_log_probs"]) - output["log_prob"]) < 1e-4
    assert [f"{o['text']}" for o in rows[0]["outputs"]] == [row.split(" ||| ")[1] for row in plain[:3]]


def test_prefix(corpus, translator):
    rows = lines_of(predict(corpus, translator, b"ada bel\n\ncor dun eph\n", "--prefix", "seven seven"))
    assert rows[0].startswith("seven seven") and rows[2].startswith("seven seven") and rows[1] == ""
    assert lines_of(predict(corpus, translator, b"ada bel\n", "--prefix", "", "--beam", 1)) == lines_of(predict(corpus, translator, b"ada bel\n", "--beam", 1))


def test_unknown_words(corpus, translator):
    # What is attended to least is least sure of; whichever word is copied, it is one of the source's, with all its letters.
    done = lines_of(predict(corpus, translator, "ada Zürich-🙂 bel\n", "--search.replace_unknown", "true", "--prefix", "xyzzy"))
    assert "<unk>" not in done[0] and done[0].split()[0] in ("ada", "Zürich-🙂", "bel")
    assert "<unk>" in lines_of(predict(corpus, translator, "ada bel\n", "--prefix", "xyzzy"))[0]


def test_alignments(corpus, translator, tmp_path):
    attend("predict", translator, "--input", "test.src", "--output", tmp_path / "out", "--alignments", tmp_path / "links", "--beam", 1, cwd=corpus)
    good = 0
    for links, out, row in zip((tmp_path / "links").read_text().splitlines(), (tmp_path / "out").read_text().splitlines(), language(60, 2), strict=True):
        pairs = [tuple(map(int, link.split("-"))) for link in links.split()]
        assert [target for _, target in pairs] == list(range(len(out.split())))
        assert all(0 <= source < len(row[0].split()) for source, _ in pairs)
        good += sorted(pairs) == sorted(tuple(map(int, link.split("-"))) for link in row[2].split())
    assert good >= 20, good


def test_a_very_long_line(corpus, translator, tiny):
    """5,000 tokens: in full, or cut with a warning; never silently."""
    words = " ".join(["ada", "bel", "cor", "dun"] * 1250)
    done = predict(corpus, translator, words + "\nada\n", "--beam", 1)
    rows = lines_of(done)
    assert len(rows) == 2 and rows[1]
    assert b"were cut" in done.stderr or len(rows[0].split()) < 1024
    done = predict(corpus, translator, words + "\nada\n", "--beam", 1, "--search.max_length", 1)
    assert len(lines_of(done)[0].split()) == 1 and b"attend: 1 of 2 outputs did not end" in done.stderr
    full = json.loads(text_of(predict(corpus, translator, words, "--beam", 1, "--json", "--search.min_length", 4990, "--search.max_length", 5000)))
    assert 4990 <= len(full["outputs"][0]["pieces"]) <= 5000


def test_typed_lines_are_answered_at_once(corpus, tiny):
    """On a terminal nobody waits for the end of the input."""
    master, slave = pty.openpty()
    process = subprocess.Popen([ATTEND, "predict", tiny, "--threads", "1"], cwd=corpus, stdin=slave, stdout=subprocess.PIPE)
    try:
        for _ in range(2):
            os.write(master, b"ada bel\n")
            assert select.select([process.stdout], [], [], 60)[0], "no answer"
            assert process.stdout.readline()
        os.write(master, b"\x04")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(master)
        os.close(slave)


FORMATS = ["html", "svg", "json", "text"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("reference", [False, True])
def test_show(corpus, translator, tmp_path, form, reference):
    flags = ["--text", "ada bel <b>&amp;", "--text", "cor"]
    if reference:
        flags += ["--reference", "two one <i>", "--reference", "three"]
    out = tmp_path / f"report.{form}"
    done = attend("show", translator, *flags, "--format", form, "--out", out, cwd=corpus)
    assert str(out) in done.stderr.decode()
    text = out.read_text()
    assert "ada" in text
    if form in ("html", "svg"):
        assert "<b>&amp;" not in text and "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    if form != "html":
        assert attend("show", translator, *flags, "--format", form, cwd=corpus).stdout.decode() == text


def rows_of(report):
    """Every row of weights in a report in JSON."""
    if isinstance(report, dict):
        if "weights" in report:
            yield report
        for value in report.values():
            yield from rows_of(value)
    elif isinstance(report, list):
        for value in report:
            yield from rows_of(value)


def test_rows_of_every_map_sum_to_one(corpus, translator, tiny):
    for model in (translator, tiny):
        report = json.loads(text_of(attend("show", model, "--text", "ada bel cor", "--text", "dun", "--nbest", 2, "--format", "json", cwd=corpus)))
        maps = list(rows_of(report))
        assert len(maps) == 4
        for m in maps:
            heads = m["weights"]
            assert isinstance(heads[0][0], list)
            for head in heads:
                for row in head:
                    assert all(w >= 0 for w in row) and abs(sum(row) - 1) < 1e-4


def test_nothing_to_show(corpus, translator):
    done = attend("show", translator, "--text", "", cwd=corpus, status=2)
    assert b"nothing to show" in done.stderr


def test_start_up(corpus, tiny):
    """What needs no torch answers at once; figures are the best of some, as the machine is shared."""
    for arguments in (["--help"], ["mechanisms"], ["inspect", tiny], ["train", "--help"], ["version", "--help"]):
        best = 1e9
        for _ in range(8):
            begin = time.perf_counter()
            attend(*arguments, cwd=corpus)
            best = min(best, time.perf_counter() - begin)
        assert best <= 0.05, (arguments, best)
