"""BLEU and chrF of attend/metrics against sacreBLEU itself: real lines made worse at random, and hostile ones.

Every option is crossed with every other; statistics of each segment must be equal, scores to 1e-9, signatures letter by letter.
"""

import itertools
import json
import os
import pathlib
import random
import subprocess
import unicodedata

import pytest
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF

TOLERANCE = 1e-9  # of scores from 0 to 100
TOKENIZERS = ["13a", "intl", "char", "none", "zh"]
SMOOTHINGS = [("exp", None), ("floor", None), ("floor", 0.037), ("add-k", None), ("add-k", 2.5), ("none", None)]
SOURCE = pathlib.Path(os.environ.get("ATTEND_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
DATA = pathlib.Path(os.environ.get("ATTEND_DATA", SOURCE.parent / "shared" / "data"))
LINES = int(os.environ.get("ATTEND_METRICS_LINES", 200))  # of each real file


class Driver:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.largest = 0.0

    def ask(self, do, **request):
        self.process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def near(self, ours, theirs):
        self.largest = max(self.largest, abs(ours - theirs))
        return abs(ours - theirs) <= TOLERANCE


@pytest.fixture(scope="module")
def driver():
    program = os.environ.get("ATTEND_METRICS_DRIVER")
    if not program:
        pytest.fail("set ATTEND_METRICS_DRIVER to the program metrics_driver of the build directory")
    driver = Driver(program)
    yield driver
    driver.process.stdin.close()
    assert driver.process.wait() == 0
    print(f"\nlargest difference to sacreBLEU {sacrebleu.__version__}: {driver.largest:.3g}")


def worsened(lines, joiner, seed):
    """A system's output, as bad as may be: words dropped, swapped, replaced by words of other lines."""
    draw = random.Random(seed)
    pool = [word for line in lines for word in line.split(" ")]
    out = []
    for line in lines:
        words = [draw.choice(pool) if draw.random() < 0.1 else word for word in line.split(" ") if draw.random() > 0.1]
        for i in range(len(words) - 1):
            if draw.random() < 0.08:
                words[i], words[i + 1] = words[i + 1], words[i]
        if draw.random() < 0.2:
            words = [word.upper() if draw.random() < 0.3 else word for word in words]
        out.append(joiner.join(words))
    return out


def real(path, joiner=" "):
    path = DATA / path
    if not DATA.exists():
        pytest.skip(f"the data folder {DATA} is absent (set ATTEND_DATA)")
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")[:LINES]
    # Two sets of references; the second is a light corruption, so that n-grams are found in one, the other or both.
    references = [[joiner.join(line.split(" ")) for line in lines], worsened(lines, joiner, 2)]
    return worsened(lines, joiner, 1), references


PIECES = """
a b . , ; : ! ? - -- _ ' " ( ) [ ] { } < > / \\ | @ # $ % ^ & * + = ~ `
the The THE don't 1 2 10 1,000.5 3.14 .5 5. 1-2 9- -9 1.a a.1 ,1, 1, ..,, a-b 10-year U.S. U.S.A. e.g., $5 5% £3 3° 100€ No.1
&quot; &amp; &lt; &gt; &amp;lt; &amp;quot; &apos; &#39; & &; &quot <skipped> <skip> < skipped >
Straße STRASSE ß ẞ İstanbul ı I ÅNGSTRÖM Å ﬁ Ǆ ǅ ΣΑΣ ΟΔΥΣΣΕΥΣ Σ ΑΣ. Α.Σ ΑΣ\u00adΒ ΣΣ Aͅ ᾈ Ω Ⅷ Ⓐ 𝐀 𐐀 Ა Ꭰ
é e\u0301 n\u0303 a\u0323\u0307 क्षि ไทย สวัสดี עברית שָׁלוֹם العربية ١٢٣ ٣٫١٤ १२३ ½ ² Ⅻ ① ㊤ 〇 ৳ ₿
漢字 中文， 你好。 「引用」 ，。！？、；：“” ‘’ （） 《书》 １２３ ＡＢＣ ｶﾀｶﾅ カタカナ ひらがな 々 〆 ㌔ 龦 龻 龼 㐀 䶵 䶶 豈 﨩 𠀀 𪛖 丽 → ⇒ ∑ ⊂ ⺀ ⼀ ⿰ ㄅ ㆠ ㇀ ☀ ✂ ⩭ ⩮ ⾁
한국어 ᄒᆞᆫ 👍 👍🏽 👩\u200d👩\u200d👧 🇩🇪 ❤\ufe0f 😀 ™ © ® ¶ § · • … – — ― ‐ ‑ − ¿ ¡ « » „ “ ‹ › ′ ″ ´ ¨ ` ^ ˆ ˜ ¯ ± × ÷ ¬ ¦
\x00 \x01 \x07 \x08 \x1b \x7f \x80 \u200b \u200d \ufeff \u2060 \u00ad \u180e \ufffd \ufffe \U0010ffff \ue000
""".split(" ")
PIECES = [piece for group in PIECES for piece in group.split("\n") if piece]
SPACES = ["", " ", "  ", "\t", "\n", "-\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\xa0", "\u1680", "\u2000",
          "\u2003", "\u2007", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"]
FIXED = ["", " ", "\u3000", "\n", ".", "...", "!?", "&quot;", "-", "--", "- -", "&amp;amp;", "<skipped>", "a", "Σ", "ΣΣ", "Σ.", "\u0345Σ", "\x85",
         "1,000.5", "1-", "1--2", ".1.", "1.2.3,4", ",,,", "x" * 3000, "a b " * 3000, "。" * 500, "Σ'" * 500, "½.½", "1.½", "½,a", "（１，０００．５）"]


def generated(draw):
    weights = [0.05, 0.7] + [0.25 / (len(SPACES) - 2)] * (len(SPACES) - 2) if draw.random() < 0.7 else None
    line = draw.choices(SPACES)[0] if draw.random() < 0.2 else ""
    for _ in range(draw.choice([1, 2, 3, 5, 8, 13, 21, 34])):
        line += draw.choice(PIECES) + draw.choices(SPACES, weights)[0]
    return line


def variant(line, draw):
    """Another line that shares much with this one, whatever its white space."""
    kind = draw.random()
    if kind < 0.1:
        return line
    if kind < 0.2:
        return line.swapcase()
    if kind < 0.3:
        return generated(draw)
    if kind < 0.5:
        return unicodedata.normalize(draw.choice(["NFC", "NFD", "NFKC"]), line)
    cut = sorted(draw.randrange(len(line) + 1) for _ in range(2))
    return line[: cut[0]] + draw.choice(SPACES + PIECES) + line[cut[1] :]


def hostile(seed, count=400):
    draw = random.Random(seed)
    lines = FIXED + [generated(draw) for _ in range(count)]
    references = [[variant(line, draw) for line in lines] for _ in range(3)]
    for i in range(0, len(lines), 17):
        references[draw.randrange(3)][i] = ""
    return lines, references


def nothing_in_common():
    return ["a b c", "", "d"], [["x y z", "w", ""]]


def short():
    return ["one two three"], [["one two four"]]


CORPORA = {
    "english": lambda: real("multi30k/test_2016_flickr.en"),
    "german": lambda: real("multi30k/test_2016_flickr.de"),
    "japanese": lambda: real("small_enja/test.ja", joiner=""),
    "hostile": lambda: hostile(3),
    "hostile single": lambda: (lambda outputs, references: (outputs, references[:1]))(*hostile(4, 200)),
    "nothing in common": nothing_in_common,
    "short": short,
}


@pytest.fixture(scope="module", params=list(CORPORA))
def corpus(request, driver):
    outputs, references = CORPORA[request.param]()
    assert driver.ask("corpus", name=request.param, outputs=outputs, references=references) is True
    return request.param, outputs, references


def test_version_is_the_one_ported(driver):
    assert driver.ask("corpus", name="version", outputs=["a"], references=[["a"]]) is True
    assert driver.ask("line", corpus="version").split("version:")[1].split(" ")[0] == sacrebleu.__version__


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_words(driver, corpus, tokenizer, lowercase):
    name, outputs, _ = corpus
    metric = BLEU(tokenize=tokenizer, lowercase=lowercase)
    ours = driver.ask("words", corpus=name, tokenizer=tokenizer, lowercase=lowercase)
    for line, words in zip(outputs, ours, strict=True):
        assert words == metric._preprocess_segment(line).split(), repr(line)


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_bleu(driver, corpus, tokenizer, lowercase):
    name, outputs, references = corpus
    cached = BLEU(tokenize=tokenizer, lowercase=lowercase, references=references)
    statistics = cached._extract_corpus_statistics(outputs, None)
    for (smoothing, value), effective in itertools.product(SMOOTHINGS, [False, True]):
        metric = BLEU(tokenize=tokenizer, lowercase=lowercase, smooth_method=smoothing, smooth_value=value, effective_order=effective)
        metric.num_refs = cached.num_refs
        theirs = metric._aggregate_and_compute(statistics)
        request = {"tokenizer": tokenizer, "lowercase": lowercase, "smoothing": smoothing, "effective_order": effective}
        if value is not None:
            request["smoothing_value"] = value
        ours = driver.ask("bleu", corpus=name, **request)
        assert ours["statistics"] == statistics
        assert driver.near(ours["score"], theirs.score), request
        assert ours["details"] == theirs._verbose
        assert ours["signature"] == str(metric.get_signature())
        for score, row in zip(ours["sentences"], statistics, strict=True):
            assert driver.near(score, metric._compute_score_from_stats(list(row)).score), (request, row)


def test_line_is_the_programs(driver, corpus):
    """The whole public path, with nothing of sacreBLEU's inside taken apart."""
    name, outputs, references = corpus
    metric = BLEU()
    score = metric.corpus_score(outputs, references)
    assert driver.ask("line", corpus=name) == score.format(signature=str(metric.get_signature()))


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("word_order", [0, 1, 2])
def test_chrf(driver, corpus, word_order, lowercase):
    name, outputs, references = corpus
    forms = [(6, 2, False, False), (6, 2, False, True), (6, 2, True, False), (4, 1, False, False), (6, 3, True, True)]
    for character_order, beta, whitespace, eps in forms if word_order != 1 else forms[:1]:
        options = {"word_order": word_order, "beta": beta, "lowercase": lowercase, "whitespace": whitespace, "eps_smoothing": eps}
        metric = CHRF(char_order=character_order, references=references, **options)
        statistics = metric._extract_corpus_statistics(outputs, None)
        theirs = metric._aggregate_and_compute(statistics)
        ours = driver.ask("chrf", corpus=name, character_order=character_order, **options)
        assert driver.near(ours["score"], theirs.score), options
        assert ours["name"] == theirs.name
        assert ours["signature"] == str(metric.get_signature())
        for score, row in zip(ours["sentences"], statistics, strict=True):
            assert driver.near(score, metric._compute_score_from_stats(row).score), options


def characters():
    """Those that Python's Unicode (14 in Debian 12), utf8proc's (15) and the regex module's (17) have in common."""
    every = (chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000)
    some = {"Cn": lambda i: i & 0xFFFE == 0xFFFE, "Co": lambda i: i % 97 == 0}  # noncharacters; a few for private use
    return [c for c in every if some.get(unicodedata.category(c), lambda i: True)(ord(c))]


def test_lower_casing_of_every_character(driver):
    """Alone, and around a capital sigma, whose lower case depends on what is cased and what is skipped."""
    lines = [form.replace("_", c) for c in characters() for form in ("_", "A_Σ", "_Σ", "AΣ_", "AΣ_b")]
    assert driver.ask("corpus", name="characters", outputs=lines, references=[]) is True
    ours = driver.ask("lower", corpus="characters")
    assert [line for line, low in zip(lines, ours, strict=True) if low != line.lower()] == []


@pytest.mark.parametrize("tokenizer", ["13a", "intl", "zh"])
def test_words_around_every_character(driver, tokenizer):
    """Every character between letters and between digits."""
    lines = [f"a{c}b 1{c}2 {c}," for c in characters()]
    assert driver.ask("corpus", name="characters", outputs=lines, references=[]) is True
    metric = BLEU(tokenize=tokenizer)
    ours = driver.ask("words", corpus="characters", tokenizer=tokenizer, lowercase=False)
    wrong = [line for line, words in zip(lines, ours, strict=True) if words != metric._preprocess_segment(line).split()]
    assert wrong == []


@pytest.mark.parametrize("name", ["ja-mecab", "ko-mecab", "spm", "flores200", "13b"])
def test_other_tokenizers_are_refused(driver, name):
    driver.ask("corpus", name="refused", outputs=["a"], references=[["a"]])
    error = driver.ask("words", corpus="refused", tokenizer=name, lowercase=False)["error"]
    assert error.startswith(f"[tokenizer] expected one of 13a, intl, char, none, zh; found {name}") and "\n" not in error
