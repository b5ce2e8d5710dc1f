"""Updates a second of nanoGPT's configuration for a CPU on tinyshakespeare, against PyTorch eager and compiled, stock and "medium", in turns.
A round is some updates of each PyTorch program in this process, then a run of `attend train`; all must have learned alike before a ratio
counts.

  gpt_training_speed.py [--rounds 5] [--steps 400] [--threads 2]"""
import argparse

import common

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

import torch

import shakespeare
import turns
from peers.gpt import BATCH, LENGTH, Trainer

torch.set_num_threads(a.threads)
work = common.folder("gpt_training_speed")
files, _ = shakespeare.write_texts(work)
text, valid = shakespeare.texts()


class Peer:
    def __init__(self, compiled, precision):
        self.precision, self.trainer = precision, Trainer(text, valid, updates=shakespeare.UPDATES, compiled=compiled)
        turns.timed(1, self.trainer.update, precision)  # compiles

    def run(self, updates):
        seconds, loss = turns.timed(updates, self.trainer.update, self.precision)
        return updates / seconds, loss


def ours(precision):
    rate, loss = turns.logged([*files, *shakespeare.OPTIONS, "--train.steps", a.steps, "--train.validate_steps", a.steps, "--train.precision", precision,
                               "--threads", a.threads], work / "model", work / "train.log")
    return rate / (BATCH * LENGTH), loss


peers = {f"{how}, {precision}": Peer(how == "compiled", precision) for how in ("eager", "compiled") for precision in ("highest", "medium")}
speed = turns.train(a.rounds, a.steps, peers, ours, 0.4)
best = [max(rates) for rates in zip(*(speed[name] for name in peers))]
figures = [common.figure(f"attend, {precision}", speed[precision], "updates/s") for precision in turns.PRECISIONS]
figures += [common.figure(f"PyTorch {name}", speed[name], "updates/s") for name in peers]
figures += [turns.ratio(f"attend {precision} / PyTorch, the fastest", speed[precision], best, ">= 1.5" if precision == "fp32" else None)
            for precision in turns.PRECISIONS]
common.write("gpt_training_speed", "Training speed of a small GPT, tinyshakespeare", "tools/bench.sh gpt_training_speed", figures, [shakespeare.INPUT], a.threads,
             "nanoGPT's configuration for a CPU: 4 layers, 4 heads, width 128, pieces of 64 characters, batches of 12, no dropout.")
