"""Times the rows in one process of a given number of threads: attend and its peers take turns, so that a drift of the machine meets all."""
import functools
import json
import math
import statistics
import subprocess

import common
import torch

from attention import figures, rows, subjects

SECONDS, ROUNDS = 6, (3, 9)  # what the turns of one phase of a row may take, and how many there are at least and at most
CALL = 0.01  # seconds: a shorter call is repeated within a turn
SLOW = 2.0  # times the best peer: what takes longer at its first try gets no turns


def peak(threads):
    """What the machine itself reaches now: bench/peak.cc."""
    return json.loads(subprocess.run([common.PEAK, str(threads)], check=True, capture_output=True, text=True).stdout)["results"][0]


def rounded(value):
    return float(f"{value:.4g}")


def first_try(subject):
    """Seconds of a call: the least of three short ones, for the slow are told apart by it."""
    once = subject.seconds()
    return once if once > 0.1 else min(once, subject.seconds(), subject.seconds())


def checked_peers(row, training, inputs, record):
    """{name: (subject, seconds of its first try)} of those that are right and not slow; of the others the record tells."""
    found = {}
    for name, make in subjects.of_peers(row, training, inputs):
        try:
            subject = make()
            record["errors"][name] = rounded(subject.check())
            found[name] = subject, first_try(subject)
        except Exception as error:  # whatever PyTorch cannot do here
            record["failed"][name] = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
    best = min((once for _, once in found.values()), default=0)
    if row.peers and not found:
        raise SystemExit(f"bench: expected a peer that can do {row.workload}; found {record['failed']}")
    record["slow"] = {name: rounded(once) for name, (_, once) in found.items() if once > SLOW * best}
    return {name: both for name, both in found.items() if name not in record["slow"]}


def take_turns(live, rounds):
    """{name: seconds of each round} of {name: (subject, seconds of its first try)}."""
    calls = {name: max(1, math.ceil(CALL / once)) for name, (_, once) in live.items()}
    if not rounds:
        rounds = SECONDS / sum(calls[name] * once for name, (_, once) in live.items())
        rounds = max(ROUNDS[0], min(ROUNDS[1], int(rounds)))
    seconds = {name: [] for name in live}
    for _ in range(rounds):
        for name, (subject, _) in live.items():
            seconds[name].append(rounded(subject.seconds(calls[name] if rounds > 1 else 1)))
    return seconds


def measure(row, phase, rounds, machine):
    """machine: tells the machine's peak."""
    training = phase == rows.BOTH
    own = subjects.of_row(row, training)
    record = {"row": row.number, "workload": str(row.workload), "phase": phase, "threads": torch.get_num_threads(), "errors": {}, "failed": {}}
    live = {}
    for subject in own:
        record["errors"][subject.name] = rounded(subject.check())
        live[subject.name] = subject, first_try(subject)
    live |= checked_peers(row, training, own[0].inputs, record)
    before = machine(record["threads"]) if row.compute_bound else {}
    seconds = take_turns(live, rounds)
    after = machine(record["threads"]) if row.compute_bound else {}
    record["peak"] = {key: rounded((value + after[key]) / 2) for key, value in before.items()}
    names = [subject.name for subject in own]
    record["ours"] = {name: seconds.pop(name) for name in names}
    record["peers"] = seconds
    torch._dynamo.reset()
    return record


def told(record):
    line = f"{record['row']} {record['workload']}, {record['phase']}, {figures.count(record['threads'])}, {record['malloc']} malloc: "
    line += ", ".join(f"{name} {1000 * statistics.median(all_of):.4g} ms" for name, all_of in (record["ours"] | record["peers"]).items())
    line += "".join(f", {name} {1000 * once:.4g} ms once" for name, once in record["slow"].items())
    return line + "".join(f"; {name} failed: {why}" for name, why in record["failed"].items())


def run(selected, threads, malloc, rounds):
    """The records of the selected rows."""
    torch.set_num_threads(threads)
    records, machine = [], functools.cache(peak) if rounds == 1 else peak
    for row in selected:
        for phase in row.targets:
            try:
                records.append(measure(row, phase, rounds, machine) | {"malloc": malloc})
            except subjects.Wrong as error:
                raise SystemExit(f"bench: expected attend to agree with the reference on {row.workload}, {phase}; {error}")
            print(told(records[-1]), flush=True)
    return records
