"""Decoding speed of a Transformer of 3 + 3 layers of width 256 on Multi30k test_2016 in batches of 32 against PyTorch (the same model shape):
greedy and beam 5, both trained for the same few minutes so that outputs have natural lengths; in turns.

  transformer_decoding_speed.py [--rounds 3] [--minutes 5] [--threads 2]"""
import argparse

import common

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--minutes", type=float, default=5)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

import torch

import turns
from peers.transformer import Translator

torch.set_num_threads(a.threads)
work = common.folder("transformer_decoding_speed")
data = turns.Multi30k(work)
stack = [x for side in ("encoder", "decoder") for x in (f"--model.{side}.kind", "transformer", f"--model.{side}.layers", 3)]
common.attend("train", *data.arguments, *stack, "--model.tie", "all", "--train.minutes", a.minutes, "--threads", a.threads, "--out", work / "model",
              log=work / "train.log")
peer = turns.Translator(data, Translator, data.by_tokens(4000), 200, "medium", (0.9, 0.98))
peer.teach(a.minutes)
decoding = turns.Decoding(data, 32, a.threads)
figures = [figure for beam in (1, 5) for figure in decoding.compare(a.rounds, beam, peer.model, work / "model", ">= 2")[2]]
common.write("transformer_decoding_speed", "Decoding speed of a Transformer, Multi30k test_2016 de-en, batches of 32", "tools/bench.sh transformer_decoding_speed",
             figures, data.files.values(), a.threads, "3 + 3 layers, width 256, feed-forward 1,024, 4 heads. BLEU after so short a training only shows that outputs have natural lengths.")
