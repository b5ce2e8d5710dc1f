"""Training speed of the recurrent Multi30k models against PyTorch: the same model, data, subword size and batches of 64 sentences, in
turns. A round is some updates of PyTorch in this process, then a run of `attend train`; all must have learned alike before a ratio counts.

  training_speed.py [--rounds 3] [--steps 120] [--threads 2]"""
import argparse
import random
import shutil
import statistics
import sys
import time

import common

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--steps", type=int, default=120)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

import sentencepiece
import torch

from peers.recurrent import BOS, EOS, Translator, pad

torch.set_num_threads(a.threads)
work = common.WORK / "training_speed"
shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)
files = {(part, side): common.data("multi30k", f"{part}.{side}") for part in ("train", "val", "test_2016_flickr") for side in ("de", "en")}
sentencepiece.SentencePieceTrainer.train(input=[str(files["train", s]) for s in ("de", "en")], model_prefix=str(work / "bpe"), vocab_size=8000,
                                         model_type="bpe", character_coverage=1.0, pad_id=0, unk_id=1, bos_id=2, eos_id=3, minloglevel=2)
pieces = sentencepiece.SentencePieceProcessor(model_file=str(work / "bpe.model"))
common.joeynmt_data(work, pieces, files)
source, target = (pieces.encode(files["train", s].read_text(encoding="utf-8").splitlines()) for s in ("de", "en"))


def batches():
    draw = random.Random(1)
    while True:
        order = list(range(len(source)))
        draw.shuffle(order)
        order = [i for k in range(0, len(order), 3200) for i in sorted(order[k:k + 3200], key=lambda i: len(target[i]))]
        cut = [order[i:i + 64] for i in range(0, len(order), 64)]
        draw.shuffle(cut)
        yield from cut


class Peer:
    """The PyTorch program, kept alive between rounds."""

    def __init__(self, cell, feed, precision):
        torch.manual_seed(1)
        self.model, self.precision, self.batches, self.step = Translator(len(pieces), cell, feed), precision, batches(), 0
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)

    def run(self, steps):
        torch.set_float32_matmul_precision(self.precision)
        self.model.train()
        tokens, losses, begin = 0, [], time.perf_counter()
        for _ in range(steps):
            rows = next(self.batches)
            for group in self.optimiser.param_groups:
                group["lr"] = 1e-3 * min(1, (self.step + 1) / 50)
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


def ours(name, cell, fusion, precision, steps):
    out = work / name
    shutil.rmtree(out, ignore_errors=True)
    common.attend("train", "--data.train.source", files["train", "de"], "--data.train.target", files["train", "en"], "--data.valid.source",
                  files["val", "de"], "--data.valid.target", files["val", "en"], "--model.encoder.cell", cell, "--model.decoder.cell", cell,
                  "--model.decoder.fusion", fusion, "--model.decoder.attention.score", "general", "--model.tie", "none", "--train.batch_sentences", 64,
                  "--train.steps", steps, "--train.log_steps", 20, "--train.learning_rate", 0.001, "--train.warmup", 50, "--train.schedule",
                  "constant", "--train.label_smoothing", 0, "--model.encoder.dropout", 0, "--model.encoder.embedding_dropout", 0.3,
                  "--model.decoder.embedding_dropout", 0.3, "--model.decoder.dropout", 0.3, "--train.ema", 0, "--train.precision", precision,
                  "--threads", a.threads, "--out", out, log=work / f"{name}.log")
    lines = common.log_lines(out, "train")
    return statistics.median(line["tokens_per_second"] for line in lines[1:]), lines[-1]["loss"]


# train.precision auto, the default: bf16 where the CPU has instructions for it.
default = "bf16" if "avx512_bf16" in open("/proc/cpuinfo").read() else "fp32"
# Where PyTorch's "medium" rounds to bfloat16, attend's bf16 is its equal, elsewhere fp32 is.
equal = "amx_bf16" in open("/proc/cpuinfo").read()
figures = []
for cell, fusion in (("gru", "output"), ("lstm", "output"), ("gru", "feed"), ("lstm", "feed")):
    peers = {p: Peer(cell, fusion == "feed", p) for p in ("highest", "medium")}
    speed, losses, joey = {key: [] for key in ("highest", "medium", "fp32", "bf16")}, {}, []
    for _ in range(a.rounds):
        for precision, peer in peers.items():
            rate, losses[precision] = peer.run(a.steps // a.rounds)
            speed[precision].append(rate)
        for precision in ("fp32", "bf16"):
            rate, losses[precision] = ours(f"{cell}_{fusion}", cell, fusion, precision, a.steps)
            speed[precision].append(rate)
        if fusion == "feed" and cell == "lstm":
            joey.append(statistics.median(common.joeynmt("train", work, "--updates", 80, "--threads", a.threads)["tokens_per_second"][1:]))
    print(f"{cell} {fusion}: mean loss of the last 20 of {a.steps} updates: " + ", ".join(f"{key} {value:.2f}" for key, value in losses.items()))
    if max(losses.values()) - min(losses.values()) > 0.5:
        sys.exit(f"bench: expected all four to learn alike; found losses of {losses}")
    label = f"{cell.upper()}, {'input feeding' if fusion == 'feed' else 'no feeding'}"
    figures += [common.figure(f"{label}: attend, fp32", speed["fp32"], "target tokens/s"),
                common.figure(f"{label}: attend, bf16 products", speed["bf16"], "target tokens/s"),
                common.figure(f"{label}: PyTorch stock", speed["highest"], "target tokens/s"),
                common.figure(f"{label}: PyTorch medium", speed["medium"], "target tokens/s"),
                common.figure(f"{label}: attend fp32 / PyTorch stock", [x / y for x, y in zip(speed["fp32"], speed["highest"])], "x", ">= 1.5"),
                common.figure(f"{label}: attend bf16 / PyTorch medium", [x / y for x, y in zip(speed["bf16"], speed["medium"])], "x", equal and ">= 1.0"),
                common.figure(f"{label}: attend fp32 / PyTorch medium", [x / y for x, y in zip(speed["fp32"], speed["medium"])], "x",
                              None if equal else ">= 1.0")]
    if default == "bf16":  # each as it comes: no comparison at equal precision, so without a target
        figures.append(common.figure(f"{label}: attend as it comes (bf16 products) / PyTorch as it comes (fp32)",
                                     [x / y for x, y in zip(speed["bf16"], speed["highest"])], "x"))
    if joey:
        figures += [common.figure("LSTM, input feeding: JoeyNMT 2.3", joey, "target tokens/s"),
                    common.figure("LSTM, input feeding: attend fp32 / JoeyNMT", [x / y for x, y in zip(speed["fp32"], joey)], "x", ">= 2.5"),
                    common.figure("LSTM, input feeding: attend bf16 / JoeyNMT", [x / y for x, y in zip(speed["bf16"], joey)], "x")]
common.write("training_speed", "Training speed, Multi30k de-en, batches of 64", "tools/bench.sh training_speed", figures, files.values(), a.threads,
             "On a CPU with AMX, PyTorch's \"medium\" rounds the operands of matrix products to bfloat16; the comparison at equal precision is with "
             "attend's bf16 products. On other CPUs it is exact and attend's fp32 is the opponent.")
