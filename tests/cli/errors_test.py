"""Every mistake is told in one clear line, with exit status 2, and nothing is left behind."""
import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from program import ATTEND, BUILD, TINY, attend, data, expect_error, tree

TRAIN = ["train", "--out", "m", *data(), *TINY]
MISTAKES = [
    (["trian"], ["train", "did you mean train?"]),
    (["train", *data()], "--out"),
    (["train", "--out"], "--out"),
    (["train", "--out", "m"], "--data.train.source"),
    ([*TRAIN, "--train.epoch", "2"], ["epoch", "did you mean epochs?"]),
    ([*TRAIN, "--layers", "2"], ["layers", "model.encoder.layers"]),
    ([*TRAIN, "--restat"], "did you mean --restart?"),
    ([*TRAIN, "--train.epochs", "0"], "train.epochs in [1, 1000000]; found 0"),
    ([*TRAIN, "--train.epochs", "two"], "train.epochs"),
    ([*TRAIN, "--train.learning_rate", "nan"], "train.learning_rate"),
    ([*TRAIN, "--train.optimiser", "adamm"], "did you mean adam?"),
    ([*TRAIN, "--model.decoder.attention.score", "dott"], ["additive", "did you mean dot?"]),
    ([*TRAIN, "--model.decoder.kind", "cnn"], "rnn"),
    ([*TRAIN, "--train.metric", "alignment_error_rate"], "train.metric"),
    ([*TRAIN, "--task", "tranlsate"], "did you mean translate?"),
    ([*TRAIN, "--threads", "-1"], "--threads"),
    ([*TRAIN, "--device", "tpu"], "cpu"),
    ([*TRAIN, "stray"], "stray"),
    (["train", "absent.yaml", "--out", "m"], "absent.yaml"),
    ([*TRAIN, "--train.init", "absent"], "[train.init]"),
    ([*TRAIN, "--data.train.source", "absent"], ["[data.train.source]", "absent"]),
    ([*TRAIN, "--data.train.source", "empty"], ["[data.train.source]", "empty"]),
    ([*TRAIN, "--data.train.target", "short"], ["400", "3"]),
    ([*TRAIN, "--data.train.source", "binary"], "binary"),
    ([*TRAIN, "--data.train.source", "."], "folder"),
    (["train", "--out", "m", "--data.train.source", "train.src"], "[data.train]"),
    ([*TRAIN, "--data.valid.source", "short", "--data.valid.target", "train.tgt"], "[data.valid]"),
    ([*TRAIN, "--data.max_length", "1", "--text.tokenizer", "character"], "data.max_length"),
    ([*TRAIN, "--train.guided_alignment", "1"], "data.train.alignments"),
    ([*TRAIN, "--model.tie", "all", "--text.shared", "false"], "model.tie"),
    ([*TRAIN, "--model.decoder.fusion", "none", "--train.guided_alignment", "1", "--data.train.alignments", "train.links"], "attention"),
    ([*TRAIN, "--out", "/proc/none/m"], "[out]"),
    ([*TRAIN, "--out", "train.src"], "[out]"),
    ([*TRAIN, "--out", "."], "[out]"),
    (["predict"], "MODEL"),
    (["predict", "absent"], "[model]"),
    (["predict", "."], "[model]"),
    (["inspect", "absent"], "[model]"),
    (["average", "absent", "--out", "m"], "[model]"),
    (["mechanisms", "stray"], "stray"),
    (["mechanisms", "--help", "stray"], "--help"),
    (["version", "--device", "tpu"], "cpu"),
]


@pytest.mark.parametrize("arguments,says", MISTAKES, ids=[" ".join(a[:1] + a[-2:]) for a, _ in MISTAKES])
def test_one_line_and_nothing_left(here, arguments, says):
    (here / "empty").write_bytes(b"")
    (here / "short").write_text("ada\nbel\ncor\n")
    (here / "binary").write_bytes(bytes(range(256)) * 20)
    before = sorted(os.listdir(here))
    expect_error(*arguments, cwd=here, says=says)
    assert sorted(os.listdir(here)) == before


def test_parents_that_were_made_go_too(here):
    expect_error(*TRAIN, "--out", "a/b/m", "--data.max_length", "1", cwd=here, says="data.max_length")
    assert not (here / "a").exists()
    (here / "empty").mkdir()
    expect_error(*TRAIN, "--out", "empty", "--data.max_length", "1", cwd=here, says="data.max_length")
    assert list((here / "empty").iterdir()) == []


PREDICT_MISTAKES = [
    (["--beem", "3"], "did you mean --beam?"),
    (["--beam", "0"], "search.beam"),
    (["--beam", "many"], "search.beam"),
    (["--nbest", "9"], "search.nbest"),
    (["--search.beem", "3"], "did you mean beam?"),
    (["--top-p", "1.5"], "search.top_p"),
    (["--input", "absent"], "[input]"),
    (["--input", "."], "[input]"),
    (["--output", "absent/x"], "[output]"),
    (["--output", "."], "[output]"),
    (["--alignments", "absent/x"], "[alignments]"),
    (["one", "two"], "one"),
]


@pytest.mark.parametrize("arguments,says", PREDICT_MISTAKES, ids=[" ".join(a) for a, _ in PREDICT_MISTAKES])
def test_predict(corpus, tiny, arguments, says):
    before = sorted(os.listdir(corpus))
    expect_error("predict", tiny, *arguments, cwd=corpus, says=says, stdin="ada\n")
    assert sorted(os.listdir(corpus)) == before


OTHER_MISTAKES = [
    (["show", "tiny"], "--text"),
    (["show", "tiny", "--text", "ada", "--format", "pdf"], "html, svg, json, text"),
    (["show", "tiny", "--text", "ada", "--reference", "one", "--serch.beam", "2"], "serch"),
    (["show", "tiny", "--text", "ada", "--out", "absent/x.html"], "[out]"),
    (["show", "tiny", "--text", "ada", "--reference", "one", "--reference", "two"], "--reference"),
    (["score", "tiny", "--input", "train.src"], "--reference"),
    (["score", "tiny", "--input", "train.src", "--reference", "test.tgt"], ["400", "60"]),
    (["evaluate", "tiny", "--input", "test.src", "--reference", "train.tgt"], ["60", "400"]),
    (["evaluate", "tiny", "--input", "test.src", "--reference", "test.tgt", "--tokenize", "klingon"], "13a"),
    (["evaluate", "tiny", "--input", "test.src", "--reference", "test.tgt", "--tokenize", "ja-mecab"], "ja-mecab"),
    (["evaluate", "tiny", "--input", "test.src", "--reference", "test.tgt", "--gold-alignments", "train.links"], "400"),
    (["evaluate", "tiny", "--input", "test.src", "--reference", "test.tgt", "--gold-alignments", "test.src"], "i-j"),
    (["evaluate", "tiny", "--input", "test.src", "--reference", "test.tgt", "--output", "absent/x"], "[output]"),
    (["inspect", "tiny", "--verfy"], "did you mean --verify?"),
    (["average", "tiny", "tiny", "--out", "tiny"], "exists"),
]


@pytest.mark.parametrize("arguments,says", OTHER_MISTAKES, ids=[" ".join(a[:1] + a[-2:]) for a, _ in OTHER_MISTAKES])
def test_other_commands(corpus, tiny, arguments, says):
    before = sorted(os.listdir(corpus))
    expect_error(*arguments, cwd=corpus, says=says)
    assert sorted(os.listdir(corpus)) == before


@pytest.fixture
def model(corpus, tiny, here):
    """A copy of a small model, to be spoiled."""
    shutil.copytree(corpus / tiny, here / "m")
    return here / "m"


def spoil_header(raw, **changes):
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + length])
    name = next(n for n in header if n != "__metadata__")
    header[name].update(changes)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + raw[8 + length:]


SPOILERS = {
    "empty": lambda raw: b"",
    "half": lambda raw: raw[:len(raw) // 2],
    "one byte short": lambda raw: raw[:-1],
    "a bit": lambda raw: raw[:-100] + bytes([raw[-100] ^ 1]) + raw[-99:],
    "a bit of the header": lambda raw: raw[:40] + bytes([raw[40] ^ 1]) + raw[41:],
    "huge header": lambda raw: (2**63).to_bytes(8, "little") + raw[8:],
    "header beyond the file": lambda raw: (len(raw) + 1).to_bytes(8, "little") + raw[8:],
    "huge shape": lambda raw: spoil_header(raw, shape=[2**62, 2**62]),
    "negative shape": lambda raw: spoil_header(raw, shape=[-1]),
    "offsets beyond": lambda raw: spoil_header(raw, data_offsets=[0, 2**60]),
    "other type": lambda raw: spoil_header(raw, dtype="F64"),
    "not json": lambda raw: (5).to_bytes(8, "little") + b"hello" + raw[13:],
    "text": lambda raw: b"these are not the weights you are looking for\n",
}


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_spoiled_weights(model, here, spoiler):
    path = model / "model.safetensors"
    raw = SPOILERS[spoiler](path.read_bytes())
    path.unlink()  # the training state holds the same file under another name
    path.write_bytes(raw)
    expect_error("predict", "m", cwd=here, says="model.safetensors", stdin="ada\n")
    expect_error("inspect", "m", "--verify", cwd=here, says="model.safetensors")


CONFIGS = {
    "another version": (lambda text: text.replace("format: 1", "format: 2"), "format"),
    "an unknown option": (lambda text: text + "novelty: 1\n", "novelty"),
    "another task": (lambda text: text.replace("task: translate", "task: divine"), "task"),
    "not YAML": (lambda text: "{" * 40, "config.yaml"),
    "nothing but noise": (lambda text: "\x00\x01\x02", "config.yaml"),
    "absurd sizes": (lambda text: text.replace("size: 16", "size: 65536").replace("layers: 1", "layers: 64"), "["),
    "other sizes": (lambda text: text.replace("size: 16", "size: 17"), "model.safetensors"),
}


@pytest.mark.parametrize("change", CONFIGS)
def test_spoiled_config(model, here, change):
    spoil, says = CONFIGS[change]
    text = (model / "config.yaml").read_text()
    assert spoil(text) != text
    (model / "config.yaml").write_text(spoil(text))
    expect_error("predict", "m", cwd=here, says=says, stdin="ada\n", status=(1, 2) if change == "absurd sizes" else 2)


def test_spoiled_tokenizer(model, here):
    path = model / "tokenizer.json"
    good = path.read_text()
    for bad in ["", "[]", "{}", good[:200], good.replace('"version": 1', '"version": 2'), good.replace("attend tokenizer", "other")]:
        path.write_text(bad)
        expect_error("predict", "m", cwd=here, says="tokenizer", stdin="ada\n")
    path.unlink()
    expect_error("predict", "m", cwd=here, says="tokenizer", stdin="ada\n")


@pytest.mark.parametrize("file,text", [("latest", "7000\n"), ("latest", "../..\n"), ("10/state.json", "{}"), ("10/state.json", "x"),
                                       ("10/weights.safetensors", "x"), ("data.json", "x")])
def test_spoiled_training_state(model, here, file, text):
    before = (model / "model.safetensors").read_bytes()
    path = model / "training" / file
    path.unlink()
    path.write_text(text)
    expect_error("train", *data(), *TINY, "--train.steps", 20, "--extend", "--out", "m", cwd=here, says=["["])
    assert (model / "model.safetensors").read_bytes() == before
    attend("predict", "m", cwd=here, stdin="ada\n")


def test_state_that_names_files_elsewhere(model, here):
    victim = here / "victim"
    victim.write_text("do not cut me\n")
    path = model / "training/10/state.json"
    state = json.loads(path.read_text())
    for name in ["../victim", str(victim), "events.x/../../victim"]:
        path.unlink()
        path.write_text(json.dumps({**state, "events": name, "event_bytes": 0}))
        expect_error("train", *data(), *TINY, "--train.steps", 20, "--extend", "--out", "m", cwd=here, says="state.json")
    assert victim.read_text() == "do not cut me\n"


def test_hostile_log(model, here):
    (model / "log.jsonl").write_text('7\n[]\n{"event": 3}\n{"event": "validation", "step": "x", "best": [], "metrics": {"a": {"value": 1e308}, "b": 2}}\n')
    attend("inspect", "m", cwd=here)


def test_out_on_another_run(corpus, tiny, here, model):
    before = tree(model)
    expect_error(*TRAIN, "--train.steps", 10, cwd=here, says=["finished", "--restart", "--extend"])
    expect_error(*TRAIN, "--train.steps", 20, "--train.learning_rate", 0.5, cwd=here, says=["train.steps 10 -> 20", "train.learning_rate"])
    expect_error(*TRAIN, "--train.steps", 20, "--train.learning_rate", 0.5, "--extend", cwd=here, says="train.learning_rate 0.002 -> 0.5")
    assert tree(model) == before


def test_extend_and_restart(here, model):
    attend(*TRAIN, "--train.steps", 14, "--extend", cwd=here)
    assert (model / "training/latest").read_text() == "14\n"
    attend(*TRAIN, "--train.steps", 6, "--restart", cwd=here)
    assert (model / "training/latest").read_text() == "6\n"
    assert len(list(model.glob("events.*"))) == 1
    assert all(json.loads(line)["step"] <= 6 for line in (model / "log.jsonl").read_text().splitlines())


def test_a_model_without_states_is_not_extended(here, model):
    shutil.rmtree(model / "training")
    before = tree(model)
    expect_error(*TRAIN, "--train.steps", 20, "--extend", cwd=here, says="training state")
    assert tree(model) == before


def test_a_run_does_not_start_from_itself(here, model):
    before = tree(model)
    expect_error(*TRAIN, "--train.init", "m", "--restart", cwd=here, says="[train.init]")
    assert tree(model) == before


def test_two_trainings_of_one_folder(here):
    first = subprocess.Popen([ATTEND, *TRAIN, "--train.epochs", "100000", "--train.patience", "0"], cwd=here, stderr=subprocess.PIPE)
    try:
        for line in first.stderr:
            if b"parameters" in line:
                break
        expect_error(*TRAIN, "--train.epochs", "100000", "--train.patience", "0", cwd=here, says="another process")
    finally:
        first.kill()
        first.wait()
    attend(*TRAIN, "--train.steps", "3", "--restart", cwd=here)


def test_devices_are_not_replaced(corpus, tiny, tmp_path):
    attend("predict", tiny, "--output", "/dev/null", cwd=corpus, stdin="ada\n")
    attend("show", tiny, "--text", "ada bel", "--out", "/dev/null", cwd=corpus)
    assert pathlib.Path("/dev/null").is_char_device()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    attend("predict", tiny, "--output", pipe, cwd=corpus, stdin="ada\n")
    assert reader.communicate(timeout=60)[0] == attend("predict", tiny, cwd=corpus, stdin="ada\n").stdout
    assert pipe.is_fifo()


def test_standard_output_that_takes_nothing(corpus, tiny):
    with open("/dev/full", "wb") as full:
        for arguments in (["predict", tiny], ["--help"], ["inspect", tiny], ["score", tiny, "--input", "test.src", "--reference", "test.tgt"]):
            done = subprocess.run([ATTEND, *arguments], cwd=corpus, input=b"ada\n", stdout=full, stderr=subprocess.PIPE)
            assert done.returncode == 1 and done.stderr.startswith(b"attend: [output]") and done.stderr.count(b"\n") == 1, done.stderr


def test_closed_pipe(corpus, tiny):
    """head -1 goes away early: the program ends, quietly, and leaves nothing."""
    before = sorted(os.listdir(corpus))
    many = corpus.parent / "many"
    many.write_text("ada bel cor dun\n" * 20000)
    script = f"'{ATTEND}' predict {tiny} --beam 1 --search.max_extra 3 --input {many} --alignments links.out --threads 1 | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=corpus, capture_output=True, timeout=120)
    assert done.stdout.count(b"\n") == 1
    assert not [line for line in done.stderr.split(b"\n") if line and not line.startswith(b"attend: ")]
    assert sorted(os.listdir(corpus)) == before


@pytest.mark.parametrize("which", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_predict_that_is_killed_leaves_nothing(corpus, tiny, which):
    before = sorted(os.listdir(corpus))
    process = subprocess.Popen([ATTEND, "predict", tiny, "--threads", "1", "--output", "out", "--alignments", "links"], cwd=corpus, stdin=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    process.stdin.write(b"ada bel\n" * 5000)
    process.stdin.flush()
    process.send_signal(which)
    process.communicate(timeout=60)
    assert process.returncode == -which
    assert sorted(os.listdir(corpus)) == before


def test_without_the_torch_part(tmp_path, corpus, tiny):
    program = ATTEND.read_bytes()  # in a build, its run path names the build folder too
    start = program.index(b"$ORIGIN") + len(b"$ORIGIN")
    end = program.index(b"\0", start)
    (tmp_path / "attend").write_bytes(program[:start] + b"\0" * (end - start) + program[end:])
    (tmp_path / "attend").chmod(0o755)
    shutil.copy(BUILD / "libattend.so", tmp_path)
    done = subprocess.run([tmp_path / "attend", "predict", tiny], cwd=corpus, input=b"ada\n", capture_output=True)
    assert done.returncode == 1 and done.stderr.startswith(b"attend: [torch] expected libattend_torch.so") and done.stderr.count(b"\n") == 1
    for arguments in (["--help"], ["mechanisms"], ["inspect", tiny]):
        assert subprocess.run([tmp_path / "attend", *arguments], cwd=corpus, capture_output=True).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
def test_full_disk(here):
    run = [*TRAIN, "--train.steps", "60", "--train.validate_steps", "5", "--data.cache", here]
    attend(*run, "--out", "plain", cwd=here)
    size = sum(len(content or b"") for content in tree(here / "plain/training").values())  # of one training state
    disk = here / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={8 * size}", "attend-test", disk], capture_output=True).returncode != 0:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        run += ["--out", "disk/m"]
        filler = disk / "filler"
        filler.write_bytes(b"\0" * int(7.5 * size))
        expect_error(*run, cwd=here, status=1, says="No space left")
        assert not (disk / "m").exists()  # nothing was saved yet
        filler.write_bytes(b"\0" * int(6.3 * size))  # room for one state, not for the next beside it
        expect_error(*run, cwd=here, status=1, says="No space left")
        step = int((disk / "m/training/latest").read_text())
        assert step >= 5
        attend("predict", "disk/m", cwd=here, stdin="ada\n")
        attend("inspect", "disk/m", "--verify", cwd=here)
        filler.unlink()
        assert f"resuming at step {step}" in attend(*run, cwd=here).stderr.decode()
        assert (disk / "m/model.safetensors").read_bytes() == (here / "plain/model.safetensors").read_bytes()
    finally:
        subprocess.run(["umount", disk], check=True)
