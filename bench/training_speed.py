"""Training speed of the recurrent Multi30k models against PyTorch: the same model, data, subword size and batches of 64 sentences, in
turns. A round is some updates of PyTorch in this process, then a run of `attend train`; all must have learned alike before a ratio counts.

  training_speed.py [--rounds 3] [--steps 120] [--threads 2]"""
import argparse
import statistics

import common

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--steps", type=int, default=120)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

import torch

import turns
from peers.recurrent import Translator

torch.set_num_threads(a.threads)
work = common.folder("training_speed")
data = turns.Multi30k(work)
common.joeynmt_data(work, data.pieces, data.files)


def ours(cell, fusion, precision):
    name = f"{cell}_{fusion}"
    return turns.logged([*data.arguments, "--model.encoder.cell", cell, "--model.decoder.cell", cell, "--model.decoder.fusion", fusion,
                         "--model.decoder.attention.score", "general", "--model.tie", "none", "--train.batch_sentences", 64, "--train.steps", a.steps,
                         "--train.learning_rate", 0.001, "--train.warmup", 50, "--train.schedule", "constant", "--train.label_smoothing", 0,
                         "--model.encoder.dropout", 0, "--model.encoder.embedding_dropout", 0.3, "--model.decoder.embedding_dropout", 0.3,
                         "--model.decoder.dropout", 0.3, "--train.ema", 0, "--train.precision", precision, "--threads", a.threads],
                        work / name, work / f"{name}.log")


# train.precision auto, the default: bf16 where the CPU has instructions for it.
default = "bf16" if "avx512_bf16" in open("/proc/cpuinfo").read() else "fp32"
# Where PyTorch's "medium" rounds to bfloat16, attend's bf16 is its equal, elsewhere fp32 is.
equal = "amx_bf16" in open("/proc/cpuinfo").read()
figures = []
for cell, fusion in (("gru", "output"), ("lstm", "output"), ("gru", "feed"), ("lstm", "feed")):
    peers = {p: turns.Translator(data, lambda size: Translator(size, cell, fusion == "feed"), data.by_sentences(64), 50, p) for p in ("highest", "medium")}
    speed = turns.train(a.rounds, a.steps, peers, lambda precision: ours(cell, fusion, precision), 0.5, f"{cell} {fusion}: ")
    joey = [statistics.median(common.joeynmt("train", work, "--updates", 80, "--threads", a.threads)["tokens_per_second"][1:])
            for _ in range(a.rounds if (cell, fusion) == ("lstm", "feed") else 0)]
    label = f"{cell.upper()}, {'input feeding' if fusion == 'feed' else 'no feeding'}"
    figures += [common.figure(f"{label}: attend, fp32", speed["fp32"], "target tokens/s"),
                common.figure(f"{label}: attend, bf16 products", speed["bf16"], "target tokens/s"),
                common.figure(f"{label}: PyTorch stock", speed["highest"], "target tokens/s"),
                common.figure(f"{label}: PyTorch medium", speed["medium"], "target tokens/s"),
                turns.ratio(f"{label}: attend fp32 / PyTorch stock", speed["fp32"], speed["highest"], ">= 1.5"),
                turns.ratio(f"{label}: attend bf16 / PyTorch medium", speed["bf16"], speed["medium"], equal and ">= 1.0"),
                turns.ratio(f"{label}: attend fp32 / PyTorch medium", speed["fp32"], speed["medium"], None if equal else ">= 1.0")]
    if default == "bf16":  # each as it comes: no comparison at equal precision, so without a target
        figures.append(turns.ratio(f"{label}: attend as it comes (bf16 products) / PyTorch as it comes (fp32)", speed["bf16"], speed["highest"]))
    if joey:
        figures += [common.figure("LSTM, input feeding: JoeyNMT 2.3", joey, "target tokens/s"),
                    turns.ratio("LSTM, input feeding: attend fp32 / JoeyNMT", speed["fp32"], joey, ">= 2.5"),
                    turns.ratio("LSTM, input feeding: attend bf16 / JoeyNMT", speed["bf16"], joey)]
common.write("training_speed", "Training speed, Multi30k de-en, batches of 64", "tools/bench.sh training_speed", figures, data.files.values(), a.threads,
             "On a CPU with AMX, PyTorch's \"medium\" rounds the operands of matrix products to bfloat16; the comparison at equal precision is with "
             "attend's bf16 products. On other CPUs it is exact and attend's fp32 is the opponent.")
