"""nanoGPT's configuration for a CPU on tinyshakespeare, 2,000 updates: the validation loss of three seeds, of this program and of a plain
PyTorch program. Two runs at a time with one thread each.

  shakespeare_gpt.py"""
import concurrent.futures
import json
import math
import multiprocessing
import pathlib
import shutil
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common
import shakespeare

SEEDS = [1, 2, 3]
WORK = common.WORK / "shakespeare_gpt"


def ours(seed):
    out, log = WORK / f"attend.{seed}", WORK / f"attend.{seed}.log"
    files, valid = shakespeare.write_texts(WORK)
    common.attend("train", *files, *shakespeare.OPTIONS, "--train.steps", shakespeare.UPDATES, "--train.validate_steps", shakespeare.UPDATES,
                  "--train.seed", seed, "--threads", 1, "--out", out, log=log)
    found = json.loads(common.attend("evaluate", out, "--input", valid, "--threads", 1, "--json", log=log))
    by = {(m["metric"], m["signature"]): math.log(m["value"]) for m in found if m["metric"] == "perplexity"}
    return {how.split("|")[0].split(":")[0]: loss for (_, how), loss in by.items()}


def theirs(seed):
    import torch

    from peers.gpt import Trainer
    torch.set_num_threads(1)
    trainer = Trainer(*shakespeare.texts(), seed=1336 + seed, updates=shakespeare.UPDATES)
    for _ in range(shakespeare.UPDATES):
        trainer.update()
    return {"sampled": trainer.sampled_loss(), "pieces": trainer.whole_loss()}


if __name__ == "__main__":
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        attend = list(pool.map(ours, SEEDS))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        torch_losses = pool.map(theirs, SEEDS)
    mean = statistics.mean(run["pieces"] for run in torch_losses)
    figures = [common.figure("attend, validation loss in pieces of 64, mean of three seeds", [run["pieces"] for run in attend], "nats", f"<= {mean:.4f}"),
               common.figure("PyTorch, validation loss in pieces of 64, mean of three seeds", [run["pieces"] for run in torch_losses], "nats"),
               common.figure("PyTorch, nanoGPT's estimate of it: 200 batches from anywhere", [run["sampled"] for run in torch_losses], "nats"),
               common.figure("attend, validation loss by a window of 64 that moves by 32", [run["window"] for run in attend], "nats")]
    for figure in figures:  # means, not medians, are compared
        figure["value"] = statistics.mean(figure["values"])
    common.write("shakespeare_gpt", "A small GPT on tinyshakespeare, 2,000 updates", "tools/bench.sh quality/shakespeare_gpt", figures, [shakespeare.INPUT], 1,
                 "nanoGPT's configuration for a CPU; means of three seeds: attend "
                 + ", ".join(f"{run['pieces']:.4f}" for run in attend) + "; PyTorch " + ", ".join(f"{run['pieces']:.4f}" for run in torch_losses) + ".")
