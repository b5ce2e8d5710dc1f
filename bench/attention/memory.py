"""The memory that a call takes, measured in a process of its own."""
import ctypes
import gc
import multiprocessing
import pathlib
import time

import common
import torch

from attention import subjects
from peers import attention as peers


def measured(call):
    """Seconds that it takes, and by how many bytes the process has grown at most meanwhile."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins again
    before, begin = common.kernel_bytes("self/status", "VmRSS"), time.perf_counter()
    call()
    seconds = time.perf_counter() - begin
    return seconds, common.kernel_bytes("self/status", "VmHWM") - before


def in_a_child(work, *arguments):
    """What work(send, *arguments) sends, from a process of its own; what was sent stays when it is killed."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=work, args=(sender.send, *arguments))
    process.start()
    sender.close()
    found = []
    try:
        while True:
            found.append(receiver.recv())
    except EOFError:
        process.join()
    return found, process.exitcode


def one_call(send, threads, w, peer):
    """Of attend, after a small call that starts its threads; of a peer, after the same call, which compiles it."""
    torch.set_num_threads(threads)

    def subject(w):
        if peer is None:
            return subjects.ours("attend", w, True)
        t = peers.Inputs(w, True)
        run = peer.make(w)
        return subjects.Subject(peer.name, t, lambda: run(t), True, subjects.EXACT)

    chosen = subject(w)
    (chosen if peer else subject(w.small())).seconds()
    send(measured(chosen.seconds)[1])


def run(row, threads):
    """{"attend": bytes, a peer: bytes}; nothing of a peer that failed."""
    found = {}
    for peer in [None, *peers.peers(row.workload, True)]:
        name = peer.name if peer else "attend"
        sent, exitcode = in_a_child(one_call, threads, row.workload, peer)
        if sent:
            found[name] = sent[0]
        elif peer is None:
            raise SystemExit(f"bench: expected attend to run on {row.workload}; its process ended with {exitcode}")
        taken = f"{sent[0] / 1e6:.4g} MB" if sent else f"unknown: its process ended with {exitcode}"
        print(f"{row.number} {row.workload}: memory of {name} {taken}", flush=True)
    return found
