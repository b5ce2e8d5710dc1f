"""Decoding speed of a Transformer of 3 + 3 layers of width 256 on Multi30k test_2016 in batches of 32 against PyTorch (the same model shape):
greedy and beam 5, both trained for the same few minutes so that outputs have natural lengths; in turns.

  transformer_decoding_speed.py [--rounds 3] [--minutes 5] [--threads 2]"""
import argparse
import random
import shutil
import sys
import time

import common

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--minutes", type=float, default=5)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

import sacrebleu
import sentencepiece
import torch

from peers.recurrent import pad
from peers.transformer import BOS, EOS, Translator

BATCH, LONGEST = 32, 60  # sentences, and tokens of an output: a model that was trained for minutes does not always end
torch.set_num_threads(a.threads)
work = common.WORK / "transformer_decoding_speed"
shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)
files = {(part, side): common.data("multi30k", f"{part}.{side}") for part in ("train", "val", "test_2016_flickr") for side in ("de", "en")}
lines = {key: path.read_text(encoding="utf-8").splitlines() for key, path in files.items()}
sentencepiece.SentencePieceTrainer.train(input=[str(files["train", s]) for s in ("de", "en")], model_prefix=str(work / "bpe"), vocab_size=8000,
                                         model_type="bpe", character_coverage=1.0, pad_id=0, unk_id=1, bos_id=2, eos_id=3, minloglevel=2)
pieces = sentencepiece.SentencePieceProcessor(model_file=str(work / "bpe.model"))

stack = [x for side in ("encoder", "decoder") for x in (f"--model.{side}.kind", "transformer", f"--model.{side}.layers", 3)]
common.attend("train", "--data.train.source", files["train", "de"], "--data.train.target", files["train", "en"], "--data.valid.source", files["val", "de"],
              "--data.valid.target", files["val", "en"], *stack, "--model.tie", "all", "--train.batch_tokens", 4000, "--train.minutes", a.minutes, "--threads",
              a.threads, "--out", work / "model", log=work / "train.log")

torch.manual_seed(1)
torch.set_float32_matmul_precision("medium")
draw = random.Random(1)
source, target = (pieces.encode(lines["train", s]) for s in ("de", "en"))
model = Translator(len(pieces))
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
begin, step = time.time(), 0
while (done := (time.time() - begin) / (60 * a.minutes)) < 1:
    order = draw.sample(range(len(source)), 3200)
    order.sort(key=lambda i: len(target[i]))
    for k in draw.sample(range(0, len(order), 160), 20):
        rows = order[k:k + 160]
        step += 1
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1, step / 200) * max(0.05, 1 - max(0, done - 0.3) / 0.7)
        loss = model(pad([source[i] + [EOS] for i in rows]), pad([[BOS] + target[i] for i in rows]), pad([target[i] + [EOS] for i in rows]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
model.eval()
test = pieces.encode(lines["test_2016_flickr", "de"])
order = sorted(range(len(test)), key=lambda i: -len(test[i]))
references = lines["test_2016_flickr", "en"]


def quality(outputs):
    """BLEU and, since longer outputs take longer, their length."""
    return sacrebleu.corpus_bleu(outputs, [references]).score, sum(len(line.split()) for line in outputs) / len(outputs)


def peer(beam, precision):
    torch.set_float32_matmul_precision(precision)
    outputs, begin = [""] * len(test), time.perf_counter()
    for k in range(0, len(order), BATCH):
        rows = order[k:k + BATCH]
        for i, ids in zip(rows, model.translate(pad([test[i] + [EOS] for i in rows]), beam, LONGEST)):
            outputs[i] = pieces.decode(ids)
    return len(test) / (time.perf_counter() - begin), *quality(outputs)


def ours(beam):
    """The program's start is left out by the time of a run over the shortest sentence alone."""
    seconds = []
    for name, text in (("one", [min(lines["test_2016_flickr", "de"], key=len)]), ("all", lines["test_2016_flickr", "de"])):
        (work / f"{name}.de").write_text("\n".join(text) + "\n", encoding="utf-8")
        begin = time.perf_counter()
        common.attend("predict", work / "model", "--input", work / f"{name}.de", "--output", work / f"{name}.en", "--beam", beam,
                      "--search.batch_sentences", BATCH, "--search.max_length", LONGEST, "--threads", a.threads)
        seconds.append(time.perf_counter() - begin)
    outputs = (work / "all.en").read_text(encoding="utf-8").splitlines()
    return len(test) / (seconds[1] - seconds[0]), *quality(outputs)


figures = []
for beam in (1, 5):
    speed = {key: [] for key in ("attend", "highest", "medium")}
    for _ in range(a.rounds):
        for precision in ("highest", "medium"):
            rate, peer_bleu, peer_words = peer(beam, precision)
            speed[precision].append(rate)
        rate, bleu, words = ours(beam)
        speed["attend"].append(rate)
    if bleu < peer_bleu - 3:
        sys.exit(f"bench: expected outputs about as good as PyTorch's ({peer_bleu:.1f} BLEU); found {bleu:.1f}")
    label = "greedy" if beam == 1 else f"beam {beam}"
    best = [max(x, y) for x, y in zip(speed["highest"], speed["medium"])]
    figures += [common.figure(f"{label}: attend (BLEU {bleu:.1f}, {words:.1f} words)", speed["attend"], "sentences/s"),
                common.figure(f"{label}: PyTorch stock (BLEU {peer_bleu:.1f}, {peer_words:.1f} words)", speed["highest"], "sentences/s"),
                common.figure(f"{label}: PyTorch medium", speed["medium"], "sentences/s"),
                common.figure(f"{label}: attend / PyTorch, the faster of both", [x / y for x, y in zip(speed["attend"], best)], "x", ">= 2")]
common.write("transformer_decoding_speed", "Decoding speed of a Transformer, Multi30k test_2016 de-en, batches of 32", "tools/bench.sh transformer_decoding_speed",
             figures, files.values(), a.threads, "3 + 3 layers, width 256, feed-forward 1,024, 4 heads. BLEU after so short a training only shows that outputs have natural lengths.")
