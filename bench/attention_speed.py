"""Speed and memory of attention against PyTorch 2.13. Every result is compared with a composed reference in double precision before it is
timed; then attend and its peers take turns in one process for each number of threads and each way of allocating memory, and the best peer
is the opponent.

  attention_speed.py [--rows 4.1,4.2] [--smoke]

--rows: these rows only; they replace those of docs/results/attention_speed.json where that is of the same commit, library and machine.
--smoke: everything once, on tiny sizes; writes nothing."""
import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import common

os.environ["ATTEND_LIBRARY"] = str(common.LIBRARY)
sys.path.insert(0, str(common.ROOT / "python"))
from attention import figures, lengths, memory, rows, turns

# What keeps the memory of large tensors instead of giving it back to the system, which costs page faults.
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_TOP_PAD_": "268435456"}
NAME, PICTURE = "attention_speed", common.ROOT / "docs" / "pictures" / "attention_lengths.png"
THREADS = [n for n in figures.THREADS if n <= os.cpu_count()]
NUMBERS = list(dict.fromkeys([row.number for row in rows.ROWS] + [rows.SCALING, rows.LENGTHS]))


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default=",".join(NUMBERS))
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--child", nargs=4, metavar=("WHAT", "THREADS", "MALLOC", "FILE"), help=argparse.SUPPRESS)
    a = parser.parse_args()
    a.rows = a.rows.split(",")
    if unknown := sorted(set(a.rows) - set(NUMBERS)):
        sys.exit(f"bench: expected rows of {', '.join(NUMBERS)}; found {', '.join(unknown)}")
    a.selected = [row for row in rows.ROWS if row.number in a.rows or row.compute_bound and rows.SCALING in a.rows]
    if a.smoke:
        a.selected = [row.small() for row in a.selected]
    return a


def child(a, what, threads, malloc):
    """The records of one process."""
    if what == "turns":
        return turns.run(a.selected, threads, malloc, 1 if a.smoke else None)
    if what == "lengths":
        return lengths.run(threads, 512 if a.smoke else rows.LONGEST)
    weighed = [row for row in a.selected if "memory" in row.targets.get(rows.BOTH, {})]
    return [{"row": row.number, "threads": threads, "memory": memory.run(row, threads)} for row in weighed]


def in_a_child(a, what, threads, malloc="default"):
    environment = {key: value for key, value in os.environ.items() if key not in TUNED} | (TUNED if malloc == "tuned" else {})
    environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
                    "TORCHINDUCTOR_CACHE_DIR": str(common.WORK / "inductor"), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    if a.smoke:
        environment["OMP_WAIT_POLICY"] = "passive"  # it may have to share the machine
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "records.json"
        command = [sys.executable, __file__, "--rows", ",".join(a.rows), *["--smoke"] * a.smoke, "--child", what, str(threads), malloc, str(file)]
        if status := subprocess.run(command, env=environment).returncode:
            sys.exit(f"bench: the process for {what}, {threads} threads, {malloc} malloc ended with status {status}")
        return json.loads(file.read_text())


def measure(a):
    records = []
    if a.selected:
        for threads in THREADS:
            for malloc in figures.MALLOCS[-1:] if a.smoke else figures.MALLOCS:
                records += in_a_child(a, "turns", threads, malloc)
        records += in_a_child(a, "memory", THREADS[-1])
    if rows.LENGTHS in a.rows:
        records += in_a_child(a, "lengths", THREADS[-1])
    return records


def kept(a, same):
    """The records of other rows in the file that is there, if they were made by the same program on the same machine."""
    file = common.ROOT / "docs" / "results" / f"{NAME}.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    if common.COMMIT.endswith("+changes") or any(before.get(key) != value for key, value in same.items()):
        return []
    replaced = {row.number for row in a.selected} | set(a.rows)
    return [record for record in before["records"] if record["row"] not in replaced]


def notes(records):
    tuned = " ".join(f"{key}={value}" for key, value in TUNED.items())
    text = ("Forward + backward makes the gradients of all inputs and parameters from the output's. Each figure is the worse of two ways of "
            f"allocating memory, glibc's default and {tuned}; its spread is that of the rounds, in each of which all take a turn. stock, medium: "
            "torch.set_float32_matmul_precision at highest, as it comes, and at medium. Useful work counts: the visible pairs, two matrix products "
            "forward and seven with the backward. Cycles and peaks are those of loops of integer additions and of multiply-adds (bench/peak.cc), run "
            "just before and after.")
    if any(record["row"] == rows.LENGTHS for record in records):
        text += (f" Where a line stops short of {rows.LONGEST:,} tokens, the next length would have taken more than {lengths.SECONDS} s or most of "
                 "the memory.\n\n"
                 f"![Time and memory of a forward and a backward against length, for each score and support](pictures/{PICTURE.name})")
    return text


def main():
    a = arguments()
    if a.child:
        what, threads, malloc, file = a.child
        pathlib.Path(file).write_text(json.dumps(child(a, what, int(threads), malloc)))
        return
    if not common.PEAK.exists():
        sys.exit(f"bench: expected {common.PEAK}; found none (run `tools/build.sh release`)")
    can_draw = importlib.util.find_spec("matplotlib") is not None
    if rows.LENGTHS in a.rows and not (can_draw or a.smoke):
        sys.exit(f"bench: expected matplotlib, which draws row {rows.LENGTHS}; found none (run `tools/bootstrap.sh build bench`)")
    threads = " and ".join(map(str, THREADS))
    same = {"commit": common.COMMIT, "machine": common.machine(threads), "library": common.digest(common.LIBRARY)}
    new = measure(a)
    if a.smoke:
        print("== figures")
        for figure in figures.all_figures(new, a.selected):
            print(f"{figure['name']}: {figure['value']:.4g} {figure['unit']}")
        if can_draw and rows.LENGTHS in a.rows:
            with tempfile.TemporaryDirectory() as folder:
                lengths.draw(new, pathlib.Path(folder) / PICTURE.name)
        return
    records = kept(a, same) + new
    if rows.LENGTHS in a.rows:
        lengths.draw(records, PICTURE)
    common.write(NAME, "Speed of attention", f"tools/bench.sh {NAME}", figures.all_figures(records, rows.ROWS), threads=threads,
                 notes=notes(records), library=same["library"], table=figures.table(records, rows.ROWS), records=records)


if __name__ == "__main__":
    main()
