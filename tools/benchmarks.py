#!/usr/bin/env python3
"""Prints what the benchmarks declared in bench/ and the result files that they left say, in Markdown.

benchmarks.py FOLDER              docs/benchmarks.md
benchmarks.py FOLDER mechanisms   the measured part of docs/mechanisms.md; nothing where nothing was measured

A result file, FOLDER/<name>.json:
  {"title": "…", "command": "…", "commit": "…", "date": "2026-01-31", "machine": "…, 2 threads", "data": {"file": "its hash"},
   "figures": [{"name": "…", "value": 1.5, "unit": "x", "spread": 0.1, "target": ">= 1.5"}], "notes": "…"}
title, command, machine and figures must be there; within a figure, name and value. Of a target that begins with >= or <= and a number the
page says when it was missed. A result may have a "table": {"heads": [...], "rows": [[...]]} besides. One with "page": "mechanisms" compares
mechanisms and stands on both pages.
"""
import ast
import json
import operator
import pathlib
import re
import sys

BENCH = pathlib.Path(__file__).resolve().parent.parent / "bench"


def declared():
    """(name, what it measures) of every benchmark: bench/NAME_bench.cc by its first comment, bench/NAME.py by its first sentence."""
    for source in sorted(BENCH.glob("*_bench.cc")):
        yield source.name.removesuffix("_bench.cc"), source.read_text().split("\n", 1)[0].removeprefix("//").strip().rstrip(".")
    for source in sorted([*BENCH.glob("*_speed.py"), BENCH / "before_after.py", *BENCH.glob("quality/*.py")]):
        text = " ".join((ast.get_docstring(ast.parse(source.read_text())) or "").split())
        yield str(source.relative_to(BENCH).with_suffix("")), text.split(". ", 1)[0].rstrip(".")


def number(value):
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def target(figure):
    """The figure's target; one that names a bound, such as ">= 1.5", with what came of it where it was missed."""
    text = figure.get("target", "")
    bound = re.match(r"(>=|<=) ([\d.]+)", text)
    if bound and not {">=": operator.ge, "<=": operator.le}[bound[1]](figure["value"], float(bound[2])):
        text += ": missed"
    return text


def section(name, result, level):
    lines = [f"{level} {result['title']}", ""]
    if "table" in result:
        table = [result["table"]["heads"], ["---"] * len(result["table"]["heads"]), *result["table"]["rows"]]
        lines += ["| " + " | ".join(cell(number(value)) for value in row) + " |" for row in table] + [""]
    with_spread = any("spread" in figure for figure in result["figures"])
    with_target = any("target" in figure for figure in result["figures"])
    heads = ["what", "figure"] + ["spread"] * with_spread + ["target"] * with_target
    if result["figures"]:
        lines += ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for figure in result["figures"]:
        cells = [figure["name"], f"{number(figure['value'])} {figure.get('unit', '')}".strip()]
        cells += [number(figure.get("spread", ""))] * with_spread + [target(figure)] * with_target
        lines.append("| " + " | ".join(map(cell, cells)) + " |")
    commit = f"commit {result['commit']}" if "commit" in result else ""
    data = [f"{file} {digest}" for file, digest in result.get("data", {}).items()]
    facts = [f"`{result['command']}`", result["machine"], commit, result.get("date", ""), *data, f"[{name}.json](results/{name}.json)"]
    lines += ["", " · ".join(fact for fact in facts if fact), ""]
    if result.get("notes"):
        lines += [result["notes"], ""]
    return lines


def benchmarks(results):
    lines = ["# Benchmarks", "", "Written by `make docs` from docs/results/*.json, each of which one command made.", ""]
    for name, result in results:
        lines += section(name, result, "##")
    lines += ["## How to run them", "", "Speed: `make bench`. Quality takes up to an hour a run, so each is run by name: `tools/bench.sh NAME`.", "",
              "| name | what it measures |", "| --- | --- |"]
    lines += [f"| `{name}` | {cell(what)} |" for name, what in declared()]
    return "\n".join(lines) + "\n"


def mechanisms(results):
    lines = [line for name, result in results if result.get("page") == "mechanisms" for line in section(name, result, "###")]
    return "\n".join(["", "## Measured", "", *lines]) if lines else ""


def main():
    folder, page = pathlib.Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "benchmarks"
    results = [(file.stem, json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))]
    print({"benchmarks": benchmarks, "mechanisms": mechanisms}[page](results), end="")


if __name__ == "__main__":
    main()
