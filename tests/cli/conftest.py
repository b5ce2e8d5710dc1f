import os
import tempfile

import pytest

import program


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Nothing of a test lands in the user's cache folder."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A folder with train.{src,tgt,links,tsv} and test.{...} of the made-up language."""
    folder = tmp_path_factory.mktemp("corpus")
    program.write_language(folder, "train", 400, 1)
    program.write_language(folder, "test", 60, 2)
    return folder


@pytest.fixture(scope="session")
def translator(corpus):
    """A word model that has learned most of the language: name of its folder in `corpus`."""
    program.attend("train", *program.data(), "--text.tokenizer", "word", "--model.encoder.size", 32, "--model.encoder.embedding", 32,
                   "--model.decoder.size", 48, "--model.decoder.embedding", 32, "--model.encoder.dropout", 0.1, "--model.decoder.dropout", 0.1,
                   "--model.encoder.embedding_dropout", 0, "--model.decoder.embedding_dropout", 0, "--train.batch_tokens", 400,
                   "--train.steps", 350, "--train.warmup", 20, "--train.learning_rate", 0.01, "--train.epochs", 1000, "--train.label_smoothing", 0,
                   "--train.validate_steps", 175, "--threads", 1, "--out", "translator", cwd=corpus)
    return "translator"


@pytest.fixture(scope="session")
def tiny(corpus):
    """An untrained-looking character model."""
    program.attend("train", *program.data(), *program.TINY, "--train.steps", 10, "--out", "tiny", cwd=corpus)
    return "tiny"


@pytest.fixture
def here(corpus):
    """A fresh folder with the corpus's files in it."""
    with tempfile.TemporaryDirectory(prefix="attend-cli-") as name:
        folder = program.pathlib.Path(name)
        for file in corpus.iterdir():
            if file.is_file():
                os.symlink(file, folder / file.name)
        yield folder
