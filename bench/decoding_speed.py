"""Decoding speed of test_2016 in batches of 64 against PyTorch (the same model shape) and JoeyNMT: greedy and beam 5, all trained for the
same few minutes so that outputs have natural lengths; in turns.

  decoding_speed.py [--rounds 3] [--minutes 4] [--threads 2]"""
import argparse

import common

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--minutes", type=float, default=4)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

import torch

import turns
from peers.recurrent import Translator

torch.set_num_threads(a.threads)
work = common.folder("decoding_speed")
data = turns.Multi30k(work)
common.joeynmt_data(work, data.pieces, data.files)
common.joeynmt("train", work, "--seconds", 60 * a.minutes, "--threads", a.threads)
common.attend("train", *data.arguments, "--model.decoder.fusion", "output", "--model.decoder.attention.score", "general", "--model.tie", "none",
              "--train.minutes", a.minutes, "--threads", a.threads, "--out", work / "model", log=work / "train.log")
peer = turns.Translator(data, Translator, data.by_sentences(64), 1)
peer.teach(a.minutes)
decoding = turns.Decoding(data, 64, a.threads)
figures = []
for beam in (1, 5):
    joey = []
    label, ours, new = decoding.compare(a.rounds, beam, peer.model, work / "model", ">= 1.5",
                                        lambda: joey.append(common.joeynmt("decode", work, "--beam", beam, "--threads", a.threads)))
    speed = [of["sentences_per_second"] for of in joey]
    figures += [*new, common.figure(f"{label}: JoeyNMT 2.3 (BLEU {joey[-1]['bleu']:.1f})", speed, "sentences/s"),
                turns.ratio(f"{label}: attend / JoeyNMT", ours, speed, ">= 4")]
common.write("decoding_speed", "Decoding speed, Multi30k test_2016 de-en, batches of 64", "tools/bench.sh decoding_speed", figures, data.files.values(), a.threads,
             "JoeyNMT's model is its LSTM with input feeding, trained as long; BLEU after so short a training only shows that outputs have natural lengths.")
