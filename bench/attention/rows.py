"""The workloads on which attention_speed.py times attend, and what is to be reached on each."""
from dataclasses import dataclass, replace
from typing import Optional

from peers.attention import Workload

FORWARD, BOTH = "forward", "forward + backward"


@dataclass(frozen=True)
class Row:
    """targets: {phase: {a metric of figures.py: its target, or None}}; the phases are those that are timed."""
    number: str
    workload: Workload
    targets: dict
    peers: bool = True
    base: Optional[Workload] = None  # attend on this is timed too, to compare with
    weights: bool = False  # attend returns all weights, and is compared with attend that does not
    compute_bound: bool = False  # two threads are to be as good as in the machine's peak loop

    def small(self):
        return replace(self, workload=self.workload.small(), base=self.base and self.base.small())


def zen5():
    about = open("/proc/cpuinfo").read()
    return "AuthenticAMD" in about and "cpu family\t: 26\n" in about


ADDITIVE = Workload("additive", 8, 1, 256, 256, 256)
DOT = Workload("scaled_dot", 8, 8, 1024, 1024, 64)
LONG = Workload("scaled_dot", 1, 8, 4096, 4096, 64)
SHORT = replace(DOT, queries=512, keys=512)
FEW = replace(SHORT, batch=4)

ROWS = [
    Row("4.1", ADDITIVE, {FORWARD: {"peer": 25, "rate": 26 if zen5() else None}}, compute_bound=True),
    Row("4.2", ADDITIVE, {BOTH: {"peer": 20, "cycles": 10}}, compute_bound=True),
    Row("4.3", replace(ADDITIVE, batch=4, queries=1024, keys=1024), {BOTH: {"peer": 20, "memory": 2}}, compute_bound=True),
    Row("4.4", Workload("additive", 64, 1, 1, 50, 512, prepared=True), {FORWARD: {"peer": 6}}),
    Row("4.5", DOT, {FORWARD: {"peer": 1.4, "peak": 85}, BOTH: {"peer": 1.4, "peak": 88}}, compute_bound=True),
    Row("4.6", replace(DOT, dtype="bf16"), {FORWARD: {"peer": 2, "peak": 75}, BOTH: {"peer": 2, "peak": 70}}, compute_bound=True),
    Row("4.7", replace(LONG, causal=True), {FORWARD: {"peer": 1.4}, BOTH: {"peer": 1.6}}, compute_bound=True),
    Row("4.8", replace(SHORT, dropout=0.1), {BOTH: {"peer": 2.5, "base": 1.2}}, base=SHORT),
    Row("4.9", replace(LONG, window=128), {FORWARD: {"peer": 1.5}, BOTH: {"peer": 1.5}}),
    Row("4.10", replace(SHORT, batch=16, padded=True), {FORWARD: {"peer": 1.4}, BOTH: {"peer": 1.4}}),
    Row("4.11", replace(FEW, score="cosine"), {BOTH: {"base": 1.1}}, peers=False, base=FEW),
    Row("4.11", replace(FEW, score="euclidean"), {BOTH: {"base": 1.1}}, peers=False, base=FEW),
    Row("4.12", DOT, {BOTH: {"weights": 1.5}}, peers=False, weights=True),
]
SCALING, LENGTHS = "4.13", "4.15"  # derived from the compute-bound rows; lengths.py

# Time and memory against length: one head attends over itself.
SCORES = ("dot", "scaled_dot", "additive", "cosine", "euclidean")
SUPPORTS = {"all": {}, "causal": {"causal": True}, "window": {"window": 128}, "block": {"block": (128, 1)}}
LONGEST = 65536


def of_length(score, support, length):
    return Workload(score, 1, 1, length, length, 64, **SUPPORTS[support])
