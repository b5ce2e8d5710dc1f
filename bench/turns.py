"""Turns of the program and of PyTorch programs: what the speed benchmarks of whole models share.

An opponent of training has `run(updates)`, which returns its speed and the mean loss of its last 20 updates."""
import random
import shutil
import statistics
import sys
import time

import common
import sacrebleu
import sentencepiece
import torch
from peers.search import BOS, EOS, pad, translate

PRECISIONS = ("fp32", "bf16")  # of the program
LONGEST = 60  # tokens of an output: a model that was trained for minutes does not always end


def train(rounds, updates, peers, ours, apart, label=""):
    """{name: speeds of its turns}, of the peers, so many updates in all, and of ours(precision), as many each turn. What they learned is
    compared before a speed counts: losses at most so far apart."""
    speed, losses = {name: [] for name in (*peers, *PRECISIONS)}, {}
    for _ in range(rounds):
        for name, peer in peers.items():
            rate, losses[name] = peer.run(updates // rounds)
            speed[name].append(rate)
        for precision in PRECISIONS:
            rate, losses[precision] = ours(precision)
            speed[precision].append(rate)
    print(f"{label}mean loss of the last 20 of {updates} updates: " + ", ".join(f"{key} {value:.2f}" for key, value in losses.items()), flush=True)
    if max(losses.values()) - min(losses.values()) > apart:
        sys.exit(f"bench: expected all to learn alike; found losses of {losses}")
    return speed


def timed(updates, update, precision):
    """Seconds and the mean of the last 20 of so many updates, each a call that returns its loss, with this precision of matrix products."""
    torch.set_float32_matmul_precision(precision)
    begin = time.perf_counter()
    losses = [update() for _ in range(updates)]
    seconds = time.perf_counter() - begin
    torch.set_float32_matmul_precision("highest")
    return seconds, statistics.mean(loss.item() for loss in losses[-20:])


def logged(arguments, out, log):
    """A training of the program: tokens a second after the first line of its log, a line for 20 updates, and the last line's loss."""
    shutil.rmtree(out, ignore_errors=True)
    common.attend("train", *arguments, "--train.log_steps", 20, "--out", out, log=log)
    lines = common.log_lines(out, "train")
    return statistics.median(line["tokens_per_second"] for line in lines[1:]), lines[-1]["loss"]


def ratio(name, ours, theirs, target=None):
    return common.figure(name, [x / y for x, y in zip(ours, theirs)], "x", target)


class Multi30k:
    """German to English, in the same 8,000 pieces for every opponent."""

    def __init__(self, work):
        self.work = work
        self.files = {(part, side): common.data("multi30k", f"{part}.{side}") for part in ("train", "val", "test_2016_flickr") for side in ("de", "en")}
        self.lines = {key: path.read_text(encoding="utf-8").splitlines() for key, path in self.files.items()}
        sentencepiece.SentencePieceTrainer.train(input=[str(self.files["train", s]) for s in ("de", "en")], model_prefix=str(work / "bpe"), vocab_size=8000,
                                                 model_type="bpe", character_coverage=1.0, pad_id=0, unk_id=1, bos_id=2, eos_id=3, minloglevel=2)
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(work / "bpe.model"))
        self.source, self.target = (self.pieces.encode(self.lines["train", s]) for s in ("de", "en"))
        self.arguments = [x for part, name in (("train", "train"), ("valid", "val")) for side, s in (("source", "de"), ("target", "en"))
                          for x in (f"--data.{part}.{side}", self.files[name, s])]

    def by_sentences(self, size):
        """Batches of so many lines for ever: shuffled, sorted by length within 3,200."""
        draw = random.Random(1)
        while True:
            order = draw.sample(range(len(self.source)), len(self.source))
            order = [i for k in range(0, len(order), 3200) for i in sorted(order[k:k + 3200], key=lambda i: len(self.target[i]))]
            cut = [order[i:i + size] for i in range(0, len(order), size)]
            draw.shuffle(cut)
            yield from cut

    def by_tokens(self, tokens):
        """Batches as attend cuts them, for ever: sorted by the target's length, rows times the longest row of the longer side."""
        draw = random.Random(1)
        while True:
            order = sorted(range(len(self.source)), key=lambda i: (-len(self.target[i]), len(self.source[i]), draw.random()))
            cut, now, longest = [], [], 0
            for i in order:
                wide = max(longest, len(self.source[i]) + 1, len(self.target[i]) + 1)
                if now and wide * (len(now) + 1) > tokens:
                    cut.append(now)
                    now, wide = [], max(len(self.source[i]), len(self.target[i])) + 1
                now, longest = now + [i], wide
            cut.append(now)
            draw.shuffle(cut)
            yield from cut


class Translator:
    """A PyTorch translator that is trained on Multi30k at a rate of 0.001, kept alive between turns."""

    def __init__(self, data, model, batches, warmup, precision="highest", betas=(0.9, 0.999)):
        torch.manual_seed(1)
        self.data, self.model, self.batches, self.warmup, self.precision, self.step = data, model(len(data.pieces)), batches, warmup, precision, 0
        self.optimiser = torch.optim.AdamW(self.model.parameters(), betas=betas, weight_decay=0.0, fused=True)
        self.tokens = 0

    def update(self, factor=1.0):
        source, target, rows = self.data.source, self.data.target, next(self.batches)
        self.step += 1
        for group in self.optimiser.param_groups:
            group["lr"] = 1e-3 * min(1, self.step / self.warmup) * factor
        loss = self.model(pad([source[i] + [EOS] for i in rows]), pad([[BOS] + target[i] for i in rows]), pad([target[i] + [EOS] for i in rows]))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.tokens += sum(len(target[i]) + 1 for i in rows)
        return loss

    def run(self, updates):
        self.model.train()
        self.tokens = 0
        seconds, loss = timed(updates, self.update, self.precision)
        return self.tokens / seconds, loss

    def teach(self, minutes):
        """As long as attend is trained: the rate falls after three tenths."""
        torch.set_float32_matmul_precision(self.precision)
        begin = time.time()
        while (done := (time.time() - begin) / (60 * minutes)) < 1:
            self.update(max(0.05, 1 - max(0, done - 0.3) / 0.7))
        torch.set_float32_matmul_precision("highest")
        self.model.eval()


class Decoding:
    """Translations of test_2016 in batches of so many: sentences a second, BLEU and, since longer outputs take longer, words of a line."""

    def __init__(self, data, batch, threads):
        self.data, self.batch, self.threads = data, batch, threads
        self.text, self.references = data.lines["test_2016_flickr", "de"], data.lines["test_2016_flickr", "en"]
        self.ids = data.pieces.encode(self.text)
        self.order = sorted(range(len(self.ids)), key=lambda i: -len(self.ids[i]))

    def quality(self, outputs):
        return sacrebleu.corpus_bleu(outputs, [self.references]).score, sum(len(line.split()) for line in outputs) / len(outputs)

    def peer(self, model, beam, precision):
        torch.set_float32_matmul_precision(precision)
        outputs, begin = [""] * len(self.ids), time.perf_counter()
        for k in range(0, len(self.order), self.batch):
            rows = self.order[k:k + self.batch]
            for i, ids in zip(rows, translate(model, pad([self.ids[i] + [EOS] for i in rows]), beam, LONGEST)):
                outputs[i] = self.data.pieces.decode(ids)
        return len(self.ids) / (time.perf_counter() - begin), *self.quality(outputs)

    def ours(self, model, beam):
        """The program's start is left out by the time of a run over the shortest sentence alone."""
        seconds, work = [], self.data.work
        for name, text in (("one", [min(self.text, key=len)]), ("all", self.text)):
            (work / f"{name}.de").write_text("\n".join(text) + "\n", encoding="utf-8")
            begin = time.perf_counter()
            common.attend("predict", model, "--input", work / f"{name}.de", "--output", work / f"{name}.en", "--beam", beam, "--search.batch_sentences",
                          self.batch, "--search.max_length", LONGEST, "--threads", self.threads)
            seconds.append(time.perf_counter() - begin)
        outputs = (work / "all.en").read_text(encoding="utf-8").splitlines()
        return len(self.ids) / (seconds[1] - seconds[0]), *self.quality(outputs)

    def compare(self, rounds, beam, peer, model, target, beside=None):
        """Figures of attend's model and the PyTorch peer in turns, and attend's speeds; beside() runs at the end of each round."""
        speed = {key: [] for key in ("attend", "highest", "medium")}
        for _ in range(rounds):
            for precision in ("highest", "medium"):
                rate, peer_bleu, peer_words = self.peer(peer, beam, precision)
                speed[precision].append(rate)
            rate, bleu, words = self.ours(model, beam)
            speed["attend"].append(rate)
            if beside:
                beside()
        if bleu < peer_bleu - 3:
            sys.exit(f"bench: expected outputs about as good as PyTorch's ({peer_bleu:.1f} BLEU); found {bleu:.1f}")
        label = "greedy" if beam == 1 else f"beam {beam}"
        best = [max(x, y) for x, y in zip(speed["highest"], speed["medium"])]
        figures = [common.figure(f"{label}: attend (BLEU {bleu:.1f}, {words:.1f} words)", speed["attend"], "sentences/s"),
                   common.figure(f"{label}: PyTorch stock (BLEU {peer_bleu:.1f}, {peer_words:.1f} words)", speed["highest"], "sentences/s"),
                   common.figure(f"{label}: PyTorch medium", speed["medium"], "sentences/s"),
                   ratio(f"{label}: attend / PyTorch, the faster of both", speed["attend"], best, target)]
        return label, speed["attend"], figures
