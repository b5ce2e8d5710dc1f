"""A run that is stopped in any way goes on, and gives bit for bit the model of one that was never stopped."""
import json
import os
import random
import signal
import subprocess
import time

import pytest

from program import ATTEND, SOAK, TINY, attend, data, expect_error, text_of, tree

KILLS = 60 if SOAK else 20
LONG = ["train", *data(), "--train.steps", "20", "--train.epochs", "1000", "--train.validate_steps", "4", "--train.log_steps", "5",
        "--train.accumulate", "2", "--train.schedule", "plateau", "--train.plateau_patience", "1", "--train.learning_rate", "0.01"]
RUN = LONG + TINY
TRANSFORMER = LONG + ["--text.tokenizer", "character", "--train.batch_tokens", "600", "--threads", "1", "--train.average", "2", "--train.ema", "0",
                      *(word for side in ("encoder", "decoder") for name, value in {"kind": "transformer", "size": "16", "feed_forward": "32"}.items()
                        for word in (f"--model.{side}.{name}", value))]


STARTED = []


@pytest.fixture(autouse=True)
def nothing_runs_on():
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


def start(here, out, *more, run=RUN):
    STARTED.append(subprocess.Popen([ATTEND, *run, "--out", out, *more], cwd=here, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
    return STARTED[-1]


def final_weights(folder):
    step = (folder / "training/latest").read_text().strip()
    return {name: (folder / "training" / step / name).read_bytes() for name in ("weights.safetensors", "optimiser.safetensors", "model.safetensors")}


def expect_same_run(folder, plain):
    assert final_weights(folder) == final_weights(plain)
    assert (folder / "model.safetensors").read_bytes() == (plain / "model.safetensors").read_bytes()
    assert (folder / "config.yaml").read_bytes() == (plain / "config.yaml").read_bytes()
    for name in os.listdir(plain):
        assert name.startswith("events.") or (folder / name).exists(), name
    left = [p for p in folder.rglob("*") if "attend-tmp" in p.name or ".unsaved" in p.name]
    assert left == []
    steps = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    validations = [entry["step"] for entry in steps if entry["event"] == "validation"]
    assert validations == sorted(set(validations)) and validations[-1] == 20


def uninterrupted(corpus, name, run):
    """The run's folder, and how long it takes."""
    begin = time.monotonic()
    attend(*run, "--out", name, cwd=corpus)
    return corpus / name, time.monotonic() - begin


@pytest.fixture(scope="module")
def plain(corpus):
    return uninterrupted(corpus, "plain", RUN)


def test_same_seed_same_bits(corpus, plain):
    attend(*RUN, "--out", "again", cwd=corpus)
    expect_same_run(corpus / "again", plain[0])
    assert (corpus / "again/model.safetensors").read_bytes() == (plain[0] / "model.safetensors").read_bytes()
    attend(*RUN, "--train.seed", 2, "--out", "other", cwd=corpus)
    assert (corpus / "other/model.safetensors").read_bytes() != (plain[0] / "model.safetensors").read_bytes()


@pytest.mark.parametrize("run, kills", [(RUN, KILLS), (TRANSFORMER, KILLS // 2)], ids=["recurrent", "transformer"])
def test_kill_at_any_instant(here, corpus, run, kills):
    """kill -9 at random instants, from before the first file to the end, again and again until the run finishes by itself."""
    draw = random.Random(os.environ.get("ATTEND_KILL_SEED", "7"))
    folder, whole = uninterrupted(corpus, f"whole{kills}", run)
    killed, rounds = 0, 0
    while killed < kills:
        rounds += 1
        assert rounds < 40 * kills
        out = f"m{killed}"  # one run a round of kills, until it gets through
        while True:
            process = start(here, out, run=run)
            try:
                told = process.communicate(timeout=draw.uniform(0.02, 1.1) * whole)[1]
                assert process.returncode == 0 or b"a finished run" in told, told  # killed when all was done
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                killed += 1
                if (here / out / "model.safetensors").exists():
                    attend("inspect", out, "--verify", cwd=here)
                    if killed % 5 == 0:
                        attend("predict", out, "--beam", 1, "--threads", 1, cwd=here, stdin="ada bel\n")
        expect_same_run(here / out, folder)


@pytest.mark.parametrize("which,name", [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_polite_stop(here, plain, which, name):
    draw = random.Random(int(which))
    stops = 0
    for _ in range(12):
        process = start(here, "m")
        told = b""
        for line in process.stderr:  # training has begun
            told += line
            if line.startswith((b"model:", b"resuming")):
                break
        time.sleep(draw.uniform(0, 0.3) * plain[1])
        process.send_signal(which)
        told += process.communicate()[1]
        # A signal between the run's end and the program's: the folder is then that of a finished run.
        if process.returncode == 0 or b"a finished run" in told:
            break
        assert process.returncode in (130, -which), told
        if process.returncode == 130:
            stops += 1
            assert f"stopped by {name} at step" in told.decode() and "the same command goes on from there" in told.decode()
            attend("inspect", "m", "--verify", cwd=here)
    else:
        attend(*RUN, "--out", "m", cwd=here)
    assert stops > 0
    expect_same_run(here / "m", plain[0])


def test_a_second_signal_ends_it_at_once(here):
    process = start(here, "m", "--train.steps", "100000", "--train.patience", "0")
    for line in process.stderr:
        if line.startswith(b"validation at step 8"):
            break
    os.kill(process.pid, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    os.kill(process.pid, signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode in (130, 143)
    attend("predict", "m", cwd=here, stdin="ada\n")


def test_killed_before_the_first_state(here, plain):
    """Nothing was saved: the run begins anew, also under other options."""
    process = start(here, "m", "--train.validate_steps", "1000", "--train.log_steps", "1")
    for line in process.stderr:
        if line.startswith(b"epoch"):
            break
    process.kill()
    process.communicate()
    assert (here / "m/config.yaml").exists() and not (here / "m/model.safetensors").exists()
    expect_error("predict", "m", cwd=here, says="has not saved a model yet", stdin="ada\n")
    attend(*RUN, "--out", "m", cwd=here)
    expect_same_run(here / "m", plain[0])


def test_killed_while_the_tokenizers_are_written(here, corpus):
    separate = [*RUN, "--text.shared", "false", "--text.tokenizer", "bpe", "--text.vocabulary", "60", "--train.steps", "10"]
    attend(*separate, "--out", "plain2", cwd=here)
    attend(*separate, "--out", "m", cwd=here)
    for name in ("target.tokenizer.json", "model.safetensors"):
        (here / "m" / name).unlink()
    for path in sorted((here / "m/training").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (here / "m/source.tokenizer.json").write_text("{")
    (here / "m/target.tokenizer.json.1-0.attend-tmp").write_text("{")
    attend(*separate, "--out", "m", cwd=here)
    assert (here / "m/model.safetensors").read_bytes() == (here / "plain2/model.safetensors").read_bytes()
    assert not list((here / "m").glob("*.attend-tmp"))


def stopped_run(here):
    """A run of copied texts, stopped after its first state (of step 4)."""
    for name in ("train.src", "train.tgt"):
        content = (here / name).read_bytes()
        (here / name).unlink()
        (here / name).write_bytes(content)
    process = start(here, "m", "--train.steps", "100000", "--train.patience", "0")
    for line in process.stderr:
        if line.startswith(b"validation at step 8"):
            break
    process.kill()
    process.communicate()


def test_the_text_changed_meanwhile(here):
    stopped_run(here)
    again = [*RUN, "--train.steps", "100000", "--train.patience", "0", "--out", "m"]
    before = tree(here / "m")
    content = (here / "train.tgt").read_text()
    for changed in [content.replace("one", "eno", 1), content + "seven\n", content[:-1]]:
        (here / "train.tgt").write_text(changed)
        if changed.count("\n") == content.count("\n"):
            expect_error(*again, cwd=here, says=["[data.train.target]", "train.tgt", "changed"])
    (here / "train.src").write_text((here / "train.src").read_text() + "gil\n")
    (here / "train.tgt").write_text(content + "seven\n")
    expect_error(*again, cwd=here, says=["[data.train.source]", "train.src", "changed"])
    assert tree(here / "m") == before


def test_other_options_meanwhile(here):
    stopped_run(here)
    before = tree(here / "m")
    again = [*RUN, "--train.steps", "100000", "--train.patience", "0", "--out", "m"]
    expect_error(*again, "--model.encoder.size", 20, cwd=here, says="model.encoder.size 16 -> 20")
    assert tree(here / "m") == before
    attend("inspect", "m", cwd=here)


def test_other_threads_give_a_model_too(here, plain):
    """Bits may differ with the number of threads; the run does not."""
    attend(*RUN, "--threads", 2, "--out", "m", cwd=here)
    assert "step 20" in text_of(attend("inspect", "m", cwd=here))


def test_a_state_without_a_baseline_resumes(here):
    """Runs begun before hard attention kept a baseline in their state."""
    run = ["train", *data(), *TINY, "--train.schedule", "constant", "--train.validate_steps", 4]
    attend(*run, "--train.steps", 8, "--out", "whole", cwd=here)
    attend(*run, "--train.steps", 4, "--out", "parts", cwd=here)
    file = here / "parts/training" / (here / "parts/training/latest").read_text().strip() / "state.json"
    state = json.loads(file.read_text())
    assert state.pop("baseline") > 0
    file.write_text(json.dumps(state))
    attend(*run, "--train.steps", 8, "--out", "parts", "--extend", cwd=here)
    assert (here / "parts/model.safetensors").read_bytes() == (here / "whole/model.safetensors").read_bytes()
