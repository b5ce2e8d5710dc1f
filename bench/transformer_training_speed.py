"""Training speed of a Transformer of 3 + 3 layers of width 256 on Multi30k against PyTorch: the same model, data, subword size and batches
of 4,000 tokens, in turns. A round is some updates of PyTorch in this process, then a run of `attend train`; all must have learned alike before
a ratio counts.

  transformer_training_speed.py [--rounds 5] [--steps 100] [--threads 2]"""
import argparse
import random
import shutil
import statistics
import sys
import time

import common

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=100)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

import sentencepiece
import torch

from peers.recurrent import pad
from peers.transformer import BOS, EOS, Translator

TOKENS, WARMUP, RATE = 4000, 50, 1e-3
torch.set_num_threads(a.threads)
work = common.WORK / "transformer_training_speed"
shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)
files = {(part, side): common.data("multi30k", f"{part}.{side}") for part in ("train", "val") for side in ("de", "en")}
sentencepiece.SentencePieceTrainer.train(input=[str(files["train", s]) for s in ("de", "en")], model_prefix=str(work / "bpe"), vocab_size=8000,
                                         model_type="bpe", character_coverage=1.0, pad_id=0, unk_id=1, bos_id=2, eos_id=3, minloglevel=2)
pieces = sentencepiece.SentencePieceProcessor(model_file=str(work / "bpe.model"))
source, target = (pieces.encode(files["train", s].read_text(encoding="utf-8").splitlines()) for s in ("de", "en"))


def batches():
    """As attend cuts them: sorted by the target's length, rows times the longest row of the longer side."""
    draw = random.Random(1)
    while True:
        order = sorted(range(len(source)), key=lambda i: (-len(target[i]), len(source[i]), draw.random()))
        cut, now, longest = [], [], 0
        for i in order:
            wide = max(longest, len(source[i]) + 1, len(target[i]) + 1)
            if now and wide * (len(now) + 1) > TOKENS:
                cut.append(now)
                now, wide = [], max(len(source[i]), len(target[i])) + 1
            now, longest = now + [i], wide
        cut.append(now)
        draw.shuffle(cut)
        yield from cut


class Peer:
    """The PyTorch program, kept alive between rounds."""

    def __init__(self, precision):
        torch.manual_seed(1)
        self.model, self.precision, self.batches, self.step = Translator(len(pieces)), precision, batches(), 0
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)

    def run(self, steps):
        torch.set_float32_matmul_precision(self.precision)
        self.model.train()
        tokens, losses, begin = 0, [], time.perf_counter()
        for _ in range(steps):
            rows = next(self.batches)
            for group in self.optimiser.param_groups:
                group["lr"] = RATE * min(1, (self.step + 1) / WARMUP)
            loss = self.model(pad([source[i] + [EOS] for i in rows]), pad([[BOS] + target[i] for i in rows]), pad([target[i] + [EOS] for i in rows]))
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            self.step += 1
            tokens += sum(len(target[i]) + 1 for i in rows)
            losses.append(loss.item())
        torch.set_float32_matmul_precision("highest")
        return tokens / (time.perf_counter() - begin), statistics.mean(losses[-20:])


def ours(precision):
    out = work / "model"
    shutil.rmtree(out, ignore_errors=True)
    stack = [x for side in ("encoder", "decoder") for x in (f"--model.{side}.kind", "transformer", f"--model.{side}.layers", 3, f"--model.{side}.size", 256,
                                                             f"--model.{side}.feed_forward", 1024, f"--model.{side}.dropout", 0.1,
                                                             f"--model.{side}.embedding_dropout", 0.1, f"--model.{side}.activation_dropout", 0.1)]
    heads = [x for role in ("encoder.attention", "decoder.attention.self", "decoder.attention.cross")
             for x in (f"--model.{role}.heads", 4, f"--model.{role}.dropout", 0.1)]
    common.attend("train", "--data.train.source", files["train", "de"], "--data.train.target", files["train", "en"], "--data.valid.source",
                  files["val", "de"], "--data.valid.target", files["val", "en"], *stack, *heads, "--model.tie", "all", "--train.batch_tokens", TOKENS,
                  "--train.steps", a.steps, "--train.log_steps", 20, "--train.learning_rate", RATE, "--train.warmup", WARMUP, "--train.schedule", "constant",
                  "--train.label_smoothing", 0, "--train.ema", 0, "--train.precision", precision, "--threads", a.threads, "--out", out, log=work / "train.log")
    lines = common.log_lines(out, "train")
    return statistics.median(line["tokens_per_second"] for line in lines[1:]), lines[-1]["loss"]


peers = {p: Peer(p) for p in ("highest", "medium")}
speed, losses = {key: [] for key in ("highest", "medium", "fp32", "bf16")}, {}
for _ in range(a.rounds):
    for precision, peer in peers.items():
        rate, losses[precision] = peer.run(a.steps // a.rounds)
        speed[precision].append(rate)
    for precision in ("fp32", "bf16"):
        rate, losses[precision] = ours(precision)
        speed[precision].append(rate)
print(f"mean loss of the last 20 of {a.steps} updates: " + ", ".join(f"{key} {value:.2f}" for key, value in losses.items()))
if max(losses.values()) - min(losses.values()) > 0.5:
    sys.exit(f"bench: expected all four to learn alike; found losses of {losses}")
figures = [common.figure("attend, fp32", speed["fp32"], "target tokens/s"), common.figure("attend, bf16 products", speed["bf16"], "target tokens/s"),
           common.figure("PyTorch stock", speed["highest"], "target tokens/s"), common.figure("PyTorch medium", speed["medium"], "target tokens/s"),
           common.figure("attend fp32 / PyTorch stock", [x / y for x, y in zip(speed["fp32"], speed["highest"])], "x", ">= 2"),
           common.figure("attend fp32 / PyTorch medium", [x / y for x, y in zip(speed["fp32"], speed["medium"])], "x", ">= 1.15"),
           common.figure("attend bf16 / PyTorch medium", [x / y for x, y in zip(speed["bf16"], speed["medium"])], "x")]
common.write("transformer_training_speed", "Training speed of a Transformer, Multi30k de-en, batches of 4,000 tokens", "tools/bench.sh transformer_training_speed",
             figures, files.values(), a.threads, "3 + 3 layers, width 256, feed-forward 1,024, 4 heads, dropout 0.1 everywhere, one embedding for all. Where the CPU "
             "has no AMX, PyTorch's \"medium\" computes exactly, and attend's fp32 is its equal.")
