#!/usr/bin/env python3
"""Prints docs/benchmarks.md from the result files that the benchmarks leave: benchmarks.py FOLDER

A result file, FOLDER/<name>.json:
  {"title": "…", "command": "…", "commit": "…", "date": "2026-01-31", "machine": "…, 2 threads", "data": {"file": "its hash"},
   "figures": [{"name": "…", "value": 1.5, "unit": "x", "spread": 0.1, "target": ">= 1.5"}], "notes": "…"}
title, command, machine and figures must be there; within a figure, name and value.
"""
import json
import pathlib
import sys


def number(value):
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def page(results):
    lines = ["# Benchmarks", "", "Written by `make docs` from docs/results/*.json, each of which one command made.", ""]
    for name, result in results:
        lines += [f"## {result['title']}", ""]
        with_spread = any("spread" in figure for figure in result["figures"])
        with_target = any("target" in figure for figure in result["figures"])
        heads = ["what", "figure"] + ["spread"] * with_spread + ["target"] * with_target
        lines += ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
        for figure in result["figures"]:
            cells = [figure["name"], f"{number(figure['value'])} {figure.get('unit', '')}".strip()]
            cells += [number(figure.get("spread", ""))] * with_spread + [figure.get("target", "")] * with_target
            lines.append("| " + " | ".join(map(cell, cells)) + " |")
        commit = f"commit {result['commit']}" if "commit" in result else ""
        data = [f"{file} {digest}" for file, digest in result.get("data", {}).items()]
        facts = [f"`{result['command']}`", result["machine"], commit, result.get("date", ""), *data, f"[{name}.json](results/{name}.json)"]
        lines += ["", " · ".join(fact for fact in facts if fact), ""]
        if result.get("notes"):
            lines += [result["notes"], ""]
    return "\n".join(lines)


def main():
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
    print(page([(file.stem, json.loads(file.read_text())) for file in files]), end="")


if __name__ == "__main__":
    main()
