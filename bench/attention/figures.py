"""What the records of attention_speed.py come to: figures with their targets, and a table of the times."""
import common
from attention import rows
from statistics import median

THREADS, MALLOCS = (1, 2), ("default", "tuned")


def best_peer(record):
    return min(record["peers"], key=lambda name: median(record["peers"][name]), default=None)


def quotients(first, second):
    return [x / y for x, y in zip(first, second)]


# A metric: what it is called, given its row and a record; its unit; whether more is better; its value in every round.


def peer(row, record):
    best = best_peer(record)
    return f"{best} / attend", "x", True, quotients(record["peers"][best], record["ours"]["attend"])


def rate(row, record):
    elements = row.workload.pairs * row.workload.dim
    return "attend", "Gelements/s a thread", True, [elements / s / record["threads"] / 1e9 for s in record["ours"]["attend"]]


def cycles(row, record):
    sixteens, hertz = row.workload.pairs * row.workload.dim / 16, record["peak"]["clock_ghz"] * 1e9
    return "attend", "cycles per 16 elements", False, [s * hertz * record["threads"] / sixteens for s in record["ours"]["attend"]]


def peak(row, record):
    w = row.workload
    most = 1e9 * record["peak"][f"{w.dtype}_gflops"]
    flops = w.flops(record["phase"] == rows.BOTH)
    return "attend", f"% of the {w.dtype} peak", True, [100 * flops / s / most for s in record["ours"]["attend"]]


def base(row, record):
    return f"attend / attend on {row.base}", "x", False, quotients(record["ours"]["attend"], record["ours"]["base"])


def weights(row, record):
    ours = record["ours"]
    return ("attend returning all weights, less the time of writing as much / attend without", "x", False,
            [(x - w) / y for x, w, y in zip(ours["attend"], ours["writing"], ours["base"])])


METRICS = {f.__name__: f for f in (peer, rate, cycles, peak, base, weights)}


def target(more, bound):
    return None if bound is None else f"{'>=' if more else '<='} {bound}"


def count(threads):
    return f"{threads} thread" + "s" * (threads > 1)


def of(records, row, phase, threads):
    """The records of a row's phase, by how memory is allocated."""
    wanted = (row.number, str(row.workload), phase, threads)
    return {r["malloc"]: r for r in records if (r["row"], r.get("workload"), r.get("phase"), r["threads"]) == wanted}


def timed(records, row, phase, threads):
    """A figure for each metric of a row's phase: the worse of those with either allocation of memory."""
    for metric, bound in row.targets[phase].items():
        if metric == "memory":
            continue
        found = []
        for malloc, record in of(records, row, phase, threads).items():
            label, unit, more, values = METRICS[metric](row, record)
            name = f"{row.number} {row.workload}, {phase}, {count(threads)}, {malloc} malloc: {label}"
            found.append((median(values) * (1 if more else -1), common.figure(name, values, unit, target(more, bound))))
        if found:
            yield min(found, key=lambda pair: pair[0])[1]


def memory(records, row):
    for record in (r for r in records if r["row"] == row.number and "memory" in r):
        taken = dict(record["memory"])
        ours, least = taken.pop("attend"), min(taken, key=taken.get, default=None)
        if least:
            name = f"{row.number} {row.workload}, {rows.BOTH}: memory beyond the inputs, attend / {least}"
            yield common.figure(name, 100 * ours / taken[least], "%", target(False, row.targets[rows.BOTH]["memory"]))


def scaling(records, row, phase):
    """How much faster two threads are than one, over the same of the machine's peak loop."""
    one, two = of(records, row, phase, 1), of(records, row, phase, 2)
    found = []
    for malloc in sorted(one.keys() & two.keys()):
        faster = median(one[malloc]["ours"]["attend"]) / median(two[malloc]["ours"]["attend"])
        machine = two[malloc]["peak"][f"{row.workload.dtype}_gflops"] / one[malloc]["peak"][f"{row.workload.dtype}_gflops"]
        name = f"{rows.SCALING} {row.workload}, {phase}, {malloc} malloc: attend's gain by a second thread / that of the machine's peak loop"
        found.append(common.figure(name, faster / machine, "x", target(True, 0.95)))
    return [min(found, key=lambda figure: figure["value"])] if found else []


def lengths(records):
    """Of two scores, at the longest that was measured."""
    for support in rows.SUPPORTS:
        for score in ("scaled_dot", "additive"):
            found = [r for r in records if (r.get("score"), r.get("support")) == (score, support)]
            if found:
                last = max(found, key=lambda r: r["length"])
                workload = rows.of_length(score, support, last["length"])
                name = f"{rows.LENGTHS} {workload}, {rows.BOTH}, {count(last['threads'])}: attend"
                yield common.figure(f"{name}, time", last["seconds"], "s")
                yield common.figure(f"{name}, memory beyond the inputs", last["bytes"] / 1e6, "MB")


def all_figures(records, of_rows):
    found = []
    for row in of_rows:
        for phase in row.targets:
            for threads in THREADS:
                found += timed(records, row, phase, threads)
        found += memory(records, row)
    for row in of_rows:
        if row.compute_bound:
            for phase in row.targets:
                found += scaling(records, row, phase)
    return found + list(lengths(records))


def table(records, of_rows):
    """Milliseconds of attend and of the fastest peer."""
    heads = ["row", "workload", "phase", "threads"]
    for malloc in MALLOCS:
        heads += [f"attend, ms ({malloc} malloc)", "best peer", "its ms"]
    lines = []
    for row in of_rows:
        for phase in row.targets:
            for threads in THREADS:
                found = of(records, row, phase, threads)
                if found:
                    lines.append([row.number, str(row.workload), phase, threads])
                    for malloc in MALLOCS:
                        lines[-1] += cells(found.get(malloc))
    return {"heads": heads, "rows": lines}


def cells(record):
    if not record:
        return ["", "", ""]
    best = best_peer(record)
    ms = lambda seconds: float(f"{1000 * median(seconds):.4g}")  # noqa: E731
    return [ms(record["ours"]["attend"]), *([best, ms(record["peers"][best])] if best else ["", ""])]
