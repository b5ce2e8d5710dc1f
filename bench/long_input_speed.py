"""A language model's update at 16,384 tokens in one piece: time and memory of full attention, of local attention, and of both in layers.

  long_input_speed.py [--steps 4] [--threads 2]"""
import argparse
import statistics

import common
import shakespeare

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=4)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()

LENGTH, LAYERS, SIZE = 16384, 4, 128
WINDOW, BLOCK = "support: {kind: window, left: 255, right: 0}", "support: {kind: block, size: 256, look_back: 0}"
WAYS = {
    "full": "{heads: 4}",
    "window 256": "{heads: 4, " + WINDOW + "}",
    "block 256": "{heads: 4, " + BLOCK + "}",
    "block 256, the last layer full": "[{heads: 4, layers: 3, " + BLOCK + "}, {heads: 4}]",
    "itself alone": "{heads: 4, support: {kind: window, left: 0, right: 0}}",  # what all but attention takes
}
work = common.folder("long_input_speed")
files, _ = shakespeare.write_texts(work)
figures, times = [], {}
for name, attention in WAYS.items():
    common.peak_memory = 0
    common.attend("train", *files, "--task", "language_model", "--text.tokenizer", "character", "--data.context", LENGTH, "--train.batch_sentences", 1,
                  "--model.decoder.layers", LAYERS, "--model.decoder.size", SIZE, "--model.decoder.feed_forward", 4 * SIZE, "--model.decoder.attention.self",
                  attention, "--train.steps", a.steps, "--train.log_steps", 1, "--train.validate_steps", 1000000, "--train.ema", 0, "--train.samples", 0,
                  "--threads", a.threads, "--out", work / "model", "--restart", log=work / "train.log")
    times[name] = [LENGTH / line["tokens_per_second"] for line in common.log_lines(work / "model", "train")[1:]]
    figures += [common.figure(f"{name}: one update", times[name], "s"), common.figure(f"{name}: memory, at most", common.peak_memory / 2**20, "MiB")]
median = {name: statistics.median(of) for name, of in times.items()}
figures += [common.figure(f"{name} / full: time of an update", median[name] / median["full"], "x",
                          "<= 0.05" if name == "window 256" else None) for name in WAYS if name != "full"]
rest = median["itself alone"]
figures.append(common.figure("window 256 / full: what attention adds to an update in which tokens see themselves alone",
                             (median["window 256"] - rest) / (median["full"] - rest), "x"))
common.write("long_input_speed", "A language model's update at 16,384 tokens", "tools/bench.sh long_input_speed", figures, [shakespeare.INPUT], a.threads,
             f"{LAYERS} layers of width {SIZE}, 4 heads, one piece of {LENGTH:,} characters; forward, backward and update; fp32 attention, products as train.precision "
             "auto has them. Memory: anonymous, of the whole program.")
