"""The pages of the documentation say what the source says now."""
import json
import os
import pathlib
import re
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ.get("ATTEND_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("ATTEND_BUILD", SOURCE / "build"))
PAGES = [SOURCE / "README.md", SOURCE / "CONTRIBUTING.md", *sorted((SOURCE / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run([SOURCE / "tools/docs.sh", folder], check=True)
    return folder


@pytest.mark.parametrize("page", ["configuration.md", "mechanisms.md", "benchmarks.md"])
def test_generated_page_is_up_to_date(fresh, page):
    assert (SOURCE / "docs" / page).read_text() == (fresh / page).read_text(), "run `make docs` and commit what it writes"


def test_every_generated_page_is_compared(fresh):
    assert sorted(p.name for p in fresh.iterdir()) == ["benchmarks.md", "configuration.md", "mechanisms.md"]


def test_measured_mechanisms_have_a_section(tmp_path):
    result = '{"title": "Scores", "command": "c", "machine": "m", "page": "mechanisms", "figures": [{"name": "dot", "value": 2, "unit": "ms"}]}'
    (tmp_path / "scores.json").write_text(result)
    written = subprocess.run(["python3", SOURCE / "tools/benchmarks.py", tmp_path, "mechanisms"], check=True, capture_output=True, text=True).stdout
    assert "## Measured" in written and "| dot | 2 ms |" in written


@pytest.mark.parametrize("value, target, shown", [(1.4, ">= 1.5", ">= 1.5: missed"), (1.6, ">= 1.5", ">= 1.5"), (10.5, "<= 10", "<= 10: missed"),
                                                   (10, "<= 10", "<= 10"), (1, "as it comes", "as it comes")])
def test_a_missed_target_is_seen(tmp_path, value, target, shown):
    result = {"title": "T", "command": "c", "machine": "m", "figures": [{"name": "n", "value": value, "unit": "x", "target": target}]}
    (tmp_path / "t.json").write_text(json.dumps(result))
    written = subprocess.run(["python3", SOURCE / "tools/benchmarks.py", tmp_path], check=True, capture_output=True, text=True).stdout
    assert f"| n | {value:,.4g} x | {shown} |" in written


def test_unknown_page():
    done = subprocess.run([BUILD / "attend", "docs", "mechanism"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "attend: [docs] expected one of configuration, mechanisms; found mechanism; did you mean mechanisms?\n"


def test_readme_names_every_command():
    commands = re.findall(r"^ATTEND_COMMAND\((\w+)", (SOURCE / "attend/cli/commands.def").read_text(), re.MULTILINE)
    assert commands
    missing = [name for name in commands if f"`attend {name}" not in (SOURCE / "README.md").read_text()]
    assert not missing


def test_the_guide_quotes_the_example_that_is_compiled():
    quoted = re.findall(r"<!-- (\S+) -->", (SOURCE / "CONTRIBUTING.md").read_text())
    example = SOURCE / "tests/add_a_mechanism"
    assert sorted(SOURCE / path for path in quoted) == sorted([*example.rglob("*.h"), *example.rglob("*.def")])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_quoted_files_and_links(page):
    """A block of code below the mark `<!-- PATH -->` is that file, or lines that stand in it one after another; links lead somewhere."""
    text = page.read_text()
    for path, block in re.findall(r"<!-- (\S+) -->\n```\w*\n(.*?)```\n", text, re.DOTALL):
        assert block in (SOURCE / path).read_text(), f"{page.name} quotes {path} wrongly"
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_options_named_in_prose_exist(fresh):
    options = (fresh / "configuration.md").read_text()
    known = {"--" + path for path in re.findall(r'id="([^"]+)"', options)}
    for page in (SOURCE / "README.md", SOURCE / "CONTRIBUTING.md"):
        for path in re.findall(r"--[a-z_]+(?:\.[a-z_]+)+", page.read_text()):
            group, _, option = path.rpartition(".")
            exists = f"[kind](#{group[2:]})" in options if option == "kind" else group in known and f"| `{option}` |" in options
            assert exists, f"{page.name} names {path}, which is no option"
