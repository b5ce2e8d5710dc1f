#!/usr/bin/env python3
"""Runs everything that must hold, what fails fast first, and closes with one line: N passed, N failed.

tools/test.py [--soak]     --soak: ten minutes a fuzzer, clang-tidy on all files, a build of each file by itself, and ATTEND_SOAK=1 for tests
                           that have a long form
"""
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOAK = "--soak" in sys.argv[1:]
JOBS = str(os.cpu_count())

results = []  # (name, "passed" | "failed" | "skipped", seconds)


def run(command, **environment):
    """True when the command, run in the repository's root, exits with 0."""
    sys.stdout.flush()
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode == 0


def step(name, command):
    """A command that counts as one test."""
    print(f"== {name}", flush=True)
    start = time.time()
    passed = run(command)
    results.append((name, "passed" if passed else "failed", time.time() - start))
    if not passed:
        print(f"== {name}: FAILED")
    return passed


def cases(report):
    """(name, outcome, seconds) of each test in a JUnit file, of ctest or pytest."""
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        skipped = case.find("skipped")
        if skipped is not None and "Unable to find" not in skipped.get("message", ""):  # ctest so reports what was not built
            outcome = "skipped"
        elif case.find("failure") is not None or case.find("error") is not None or case.get("status", "run") != "run":
            outcome = "failed"
        else:
            outcome = "passed"
        yield case.get("name"), outcome, float(case.get("time") or 0)


def ctest(folder):
    """Every test of a build folder; each counts, those inside a Python file one by one."""
    report = ROOT / folder / "tests.xml"
    for old in [report, *(ROOT / folder / "pytest").glob("*.xml")]:
        old.unlink(missing_ok=True)
    environment = {"OMP_WAIT_POLICY": "passive", "PYTHONDONTWRITEBYTECODE": "1"}
    if SOAK:
        environment["ATTEND_SOAK"] = "1"
    print(f"== tests of {folder}", flush=True)
    passed = run(["ctest", "--test-dir", folder, "--output-on-failure", "-j", JOBS, "--no-tests=error", "--output-junit", str(report)],
                 **environment)
    if not report.exists():
        results.append((f"{folder}: ctest", "failed", 0.0))
        return
    failed = False
    for name, outcome, seconds in cases(report):
        inner = ROOT / folder / "pytest" / f"{name}.xml"
        inside = list(cases(inner)) if inner.exists() else []
        if outcome == "failed" and not any(result[1] == "failed" for result in inside):
            inside = []  # it broke outside its tests: timed out, or was not collected
        for part, part_outcome, part_seconds in inside or [("", outcome, seconds)]:
            results.append((f"{folder}: {name} {part}".rstrip(), part_outcome, part_seconds))
        failed |= outcome == "failed"
    if not passed and not failed:
        results.append((f"{folder}: ctest", "failed", 0.0))


def main():
    start = time.time()
    step("format", ["tools/format.sh", "--check"])
    if step("build", ["tools/build.sh", "release"]):
        ctest("build")
    if step("build with sanitizers", ["tools/build.sh", "sanitize"]):
        ctest("build-sanitize")
    step("fuzz", ["tools/fuzz.sh", "600" if SOAK else "20"])
    step("clang-tidy", ["tools/tidy.sh"] + (["--all"] if SOAK else []))
    if SOAK:
        step("each file by itself", ["tools/build.sh", "debug"])

    print("\nThe slowest 20:")
    for name, outcome, seconds in sorted(results, key=lambda result: -result[2])[:20]:
        print(f"{seconds:8.1f} s  {name}")
    failures = [name for name, outcome, _ in results if outcome == "failed"]
    if failures:
        print("\nFailed:")
        for name in failures:
            print(f"  {name}")
    count = {outcome: sum(1 for result in results if result[1] == outcome) for outcome in ("passed", "failed", "skipped")}
    print(f"\nafter {(time.time() - start) / 60:.1f} minutes")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
