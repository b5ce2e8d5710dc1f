"""The texts of the examples are what they say: seeded, line for line, with nothing of the training text in the others."""
import datetime
import os
import pathlib
import runpy
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(os.environ.get("ATTEND_SOURCE", pathlib.Path(__file__).resolve().parents[2]))


def generate(example, folder, *arguments):
    subprocess.run([sys.executable, SOURCE / "examples" / example / "generate.py", folder, *map(str, arguments)], check=True)
    return {file.name: file.read_text(encoding="utf-8").splitlines() for file in folder.iterdir()}


@pytest.mark.parametrize("example", ["dates", "sentences"])
def test_the_seed_decides(example, tmp_path):
    size = [] if example == "dates" else [500]
    first, again = generate(example, tmp_path / "a", *size), generate(example, tmp_path / "b", *size)
    assert first == again
    assert first != generate(example, tmp_path / "c", *(size or [2]), *([2] if size else []))


def test_no_date_of_the_training_text_is_in_the_others(tmp_path):
    files = generate("dates", tmp_path)
    dates = {name: set(files[f"{name}.iso"]) for name in ("train", "valid", "test")}
    assert not dates["test"] & (dates["train"] | dates["valid"]) and not dates["valid"] & dates["train"]
    for name in dates:
        assert len(files[f"{name}.written"]) == len(files[f"{name}.iso"]) >= 500


def test_every_form_of_a_date_tells_the_date():
    module = runpy.run_path(str(SOURCE / "examples/dates/generate.py"))
    forms = module["FORMS"]
    assert len(set(forms)) == len(forms) >= 20
    # Two dates that are written alike in a form are one date, all over the range.
    days = [module["FIRST"] + datetime.timedelta(n) for n in range(0, (module["LAST"] - module["FIRST"]).days + 1, 7)]
    meaning = {}
    for form in forms:
        for day in days:
            text = module["write"](day, form, str)
            assert meaning.setdefault(text, day) == day, f"{text} is {meaning[text]} and {day}"


def test_sentences_are_unknown_to_training(tmp_path):
    files = generate("sentences", tmp_path, 500)
    assert not set(files["valid.de"]) & set(files["train.de"])
    assert len(files["train.de"]) == len(files["train.en"]) == 500
