"""Time and memory of attend against the length of a sequence that attends over itself, forward and backward."""
import statistics

import common
import torch

from attention import memory, rows, subjects

SHORTEST = 256
CHECKED = 1024  # up to here the result is compared with the reference
SECONDS = 20  # a length that would take longer is left out, and those above
PAGE = 4096  # what is not seen to grow may have grown by less than this many bytes
SHARE = 0.6  # of the free memory that a call may take


def fits(done, free):
    """Whether the next length will, should time and memory grow as before: two- to fourfold each time the length doubles."""
    if len(done) < 2:
        return True
    before, last = done[-2:]
    following = {key: last[key] * min(4.0, max(2.0, last[key] / before[key])) for key in ("seconds", "bytes")}
    return following["seconds"] <= SECONDS and following["bytes"] <= SHARE * free


def series(send, threads, score, support, longest):
    torch.set_num_threads(threads)
    done, length = [], min(SHORTEST, longest // 2)
    subjects.ours("attend", rows.of_length(score, support, 16), True).seconds()  # starts its threads
    free = common.kernel_bytes("meminfo", "MemAvailable")
    while length <= longest and fits(done, free):
        subject = subjects.ours("attend", rows.of_length(score, support, length), True)
        seconds, taken = memory.measured(subject.seconds)
        if length <= CHECKED:
            subject.check()
        if seconds < 1:
            seconds = statistics.median(subject.seconds() for _ in range(3))
        done.append({"row": rows.LENGTHS, "score": score, "support": support, "threads": threads, "length": length, "seconds": seconds,
                     "bytes": max(taken, PAGE)})
        send(done[-1])
        length *= 2


def run(threads, longest):
    records = []
    for support in rows.SUPPORTS:
        for score in rows.SCORES:
            found, status = memory.in_a_child(series, threads, score, support, longest)
            if not found or status > 0:  # below 0: it was killed, as when it takes too much memory
                raise SystemExit(f"bench: expected attend to run with score {score} and support {support}; its process ended with {status}")
            records += found
            last = found[-1]
            taken = f"{last['seconds']:.3g} s, {last['bytes'] / 1e6:.4g} MB"
            print(f"{rows.LENGTHS} {rows.of_length(score, support, last['length'])}: {taken}", flush=True)
    return records


def draw(records, file):
    from matplotlib.figure import Figure
    measures = {"seconds": ("seconds", 1), "bytes": ("MB", 1e6)}
    figure = Figure(figsize=(13, 6.5), layout="constrained")
    axes = figure.subplots(2, len(rows.SUPPORTS), sharex=True, sharey="row")
    for line, (measure, (unit, size)) in zip(axes, measures.items()):
        for axis, support in zip(line, rows.SUPPORTS):
            for score in rows.SCORES:
                points = [(r["length"], r[measure] / size) for r in records if (r.get("score"), r.get("support")) == (score, support)]
                axis.plot(*zip(*points), marker="o", markersize=3, linewidth=1, label=score)
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.grid(alpha=0.3)
        line[0].set_ylabel(unit)
    for axis, support in zip(axes[0], rows.SUPPORTS):
        axis.set_title(rows.of_length("dot", support, SHORTEST).support or support)
    for axis in axes[1]:
        axis.set_xlabel("tokens")
    axes[0][0].legend(fontsize="small")
    figure.savefig(file, dpi=100, metadata={"Software": None})
