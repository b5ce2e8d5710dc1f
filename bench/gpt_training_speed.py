"""Updates a second of nanoGPT's configuration for a CPU on tinyshakespeare, against PyTorch eager and compiled, stock and "medium", in turns.
A round is some updates of each PyTorch program in this process, then a run of `attend train`; all must have learned alike before a ratio
counts.

  gpt_training_speed.py [--rounds 5] [--steps 400] [--threads 2]"""
import argparse
import shutil
import statistics
import sys
import time

import common

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

import torch

import shakespeare
from peers.gpt import BATCH, LENGTH, Trainer

torch.set_num_threads(a.threads)
work = common.WORK / "gpt_training_speed"
shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)
files, _ = shakespeare.write_texts(work)
text, valid = shakespeare.texts()


class Peer:
    def __init__(self, compiled, precision):
        self.precision, self.trainer = precision, Trainer(text, valid, updates=shakespeare.UPDATES, compiled=compiled)
        torch.set_float32_matmul_precision(precision)
        self.trainer.update()  # compiles

    def run(self, steps):
        torch.set_float32_matmul_precision(self.precision)
        begin = time.perf_counter()
        losses = [self.trainer.update() for _ in range(steps)]
        seconds = time.perf_counter() - begin
        torch.set_float32_matmul_precision("highest")
        return steps / seconds, statistics.mean(loss.item() for loss in losses[-20:])


def ours(precision):
    out = work / "model"
    shutil.rmtree(out, ignore_errors=True)
    common.attend("train", *files, *shakespeare.OPTIONS, "--train.steps", a.steps, "--train.log_steps", 20, "--train.validate_steps", a.steps,
                  "--train.precision", precision, "--threads", a.threads, "--out", out, log=work / "train.log")
    lines = common.log_lines(out, "train")
    return statistics.median(line["tokens_per_second"] for line in lines[1:]) / (BATCH * LENGTH), lines[-1]["loss"]


peers = {f"{how}, {precision}": Peer(how == "compiled", precision) for how in ("eager", "compiled") for precision in ("highest", "medium")}
speed, losses = {key: [] for key in (*peers, "fp32", "bf16")}, {}
for _ in range(a.rounds):
    for name, peer in peers.items():
        rate, losses[name] = peer.run(a.steps // a.rounds)
        speed[name].append(rate)
    for precision in ("fp32", "bf16"):
        rate, losses[precision] = ours(precision)
        speed[precision].append(rate)
print(f"mean loss of the last 20 of {a.steps} updates: " + ", ".join(f"{key} {value:.2f}" for key, value in losses.items()))
if max(losses.values()) - min(losses.values()) > 0.4:
    sys.exit(f"bench: expected all to learn alike; found losses of {losses}")
best = [max(rates) for rates in zip(*(speed[name] for name in peers))]
figures = [common.figure(f"attend, {precision}", speed[precision], "updates/s") for precision in ("fp32", "bf16")]
figures += [common.figure(f"PyTorch {name}", speed[name], "updates/s") for name in peers]
figures += [common.figure(f"attend {precision} / PyTorch, the fastest", [x / y for x, y in zip(speed[precision], best)], "x", ">= 1.5" if precision == "fp32" else None)
            for precision in ("fp32", "bf16")]
common.write("gpt_training_speed", "Training speed of a small GPT, tinyshakespeare", "tools/bench.sh gpt_training_speed", figures, [shakespeare.INPUT], a.threads,
             "nanoGPT's configuration for a CPU: 4 layers, 4 heads, width 128, pieces of 64 characters, batches of 12, no dropout.")
