"""Training speed of a Transformer of 3 + 3 layers of width 256 on Multi30k against PyTorch: the same model, data, subword size and batches
of 4,000 tokens, in turns. A round is some updates of PyTorch in this process, then a run of `attend train`; all must have learned alike before
a ratio counts.

  transformer_training_speed.py [--rounds 5] [--steps 100] [--threads 2]"""
import argparse

import common

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=100)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

import torch

import turns
from peers.transformer import Translator

TOKENS, WARMUP, RATE = 4000, 50, 1e-3
torch.set_num_threads(a.threads)
work = common.folder("transformer_training_speed")
data = turns.Multi30k(work)
stack = [x for side in ("encoder", "decoder") for x in (f"--model.{side}.kind", "transformer", f"--model.{side}.layers", 3, f"--model.{side}.size", 256,
                                                         f"--model.{side}.feed_forward", 1024, f"--model.{side}.dropout", 0.1,
                                                         f"--model.{side}.embedding_dropout", 0.1, f"--model.{side}.activation_dropout", 0.1)]
heads = [x for role in ("encoder.attention", "decoder.attention.self", "decoder.attention.cross")
         for x in (f"--model.{role}.heads", 4, f"--model.{role}.dropout", 0.1)]


def ours(precision):
    return turns.logged([*data.arguments, *stack, *heads, "--model.tie", "all", "--train.batch_tokens", TOKENS, "--train.steps", a.steps,
                         "--train.learning_rate", RATE, "--train.warmup", WARMUP, "--train.schedule", "constant", "--train.label_smoothing", 0,
                         "--train.ema", 0, "--train.precision", precision, "--threads", a.threads], work / "model", work / "train.log")


peers = {p: turns.Translator(data, Translator, data.by_tokens(TOKENS), WARMUP, p, (0.9, 0.98)) for p in ("highest", "medium")}
speed = turns.train(a.rounds, a.steps, peers, ours, 0.5)
figures = [common.figure("attend, fp32", speed["fp32"], "target tokens/s"), common.figure("attend, bf16 products", speed["bf16"], "target tokens/s"),
           common.figure("PyTorch stock", speed["highest"], "target tokens/s"), common.figure("PyTorch medium", speed["medium"], "target tokens/s"),
           turns.ratio("attend fp32 / PyTorch stock", speed["fp32"], speed["highest"], ">= 2"),
           turns.ratio("attend fp32 / PyTorch medium", speed["fp32"], speed["medium"], ">= 1.15"),
           turns.ratio("attend bf16 / PyTorch medium", speed["bf16"], speed["medium"])]
common.write("transformer_training_speed", "Training speed of a Transformer, Multi30k de-en, batches of 4,000 tokens", "tools/bench.sh transformer_training_speed",
             figures, data.files.values(), a.threads, "3 + 3 layers, width 256, feed-forward 1,024, 4 heads, dropout 0.1 everywhere, one embedding for all. Where the CPU "
             "has no AMX, PyTorch's \"medium\" computes exactly, and attend's fp32 is its equal.")
