"""JoeyNMT 2.3.0 (Kreutzer et al. 2019) with the recurrent model of its own Multi30k-like recipes: LSTM, Luong attention, input feeding.

  joey.py train WORK --updates N | --seconds S   prints {"tokens_per_second": [...]}, one figure a window of 20 updates
  joey.py decode WORK --beam B                   prints {"sentences_per_second": ..., "bleu": ...} of WORK/test
WORK holds {train,val,test}.{de,en}, bpe.model and bpe.txt, its pieces. common.joeynmt() makes the virtual environment that this runs in."""
import argparse
import functools
import json
import pathlib
import re
import time

import torch
import yaml

# What changed in torch and sentencepiece since JoeyNMT 2.3.
torch.load = functools.partial(torch.load, weights_only=False)
_plateau = torch.optim.lr_scheduler.ReduceLROnPlateau.__init__
torch.optim.lr_scheduler.ReduceLROnPlateau.__init__ = lambda self, *args, verbose=None, **more: _plateau(self, *args, **more)
import sentencepiece

if not hasattr(sentencepiece.SentencePieceProcessor, "SetVocabulary"):
    sentencepiece.SentencePieceProcessor.SetVocabulary = lambda self, vocabulary: None

from joeynmt import prediction, training
from joeynmt.config import parse_global_args
from joeynmt.helpers import make_model_dir
from joeynmt.helpers_for_ddp import get_logger

parser = argparse.ArgumentParser()
parser.add_argument("mode", choices=["train", "decode"])
parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--updates", type=int, default=10**9)
parser.add_argument("--seconds", type=float, default=10**9)
parser.add_argument("--beam", type=int, default=1)
parser.add_argument("--threads", type=int, default=2)
a = parser.parse_args()
torch.set_num_threads(a.threads)
folder = a.work / "joeynmt"


def side(language):
    return {"lang": language, "max_length": 100, "lowercase": False, "normalize": False, "level": "bpe", "voc_min_freq": 1,
            "voc_file": str(a.work / "bpe.txt"), "tokenizer_type": "sentencepiece",
            "tokenizer_cfg": {"model_file": str(a.work / "bpe.model"), "pretokenizer": "none"}}


embeddings = {"embedding_dim": 256, "scale": False, "dropout": 0.3}
config = {
    "name": "multi30k", "joeynmt_version": "2.3.0", "model_dir": str(folder), "use_cuda": False, "fp16": False, "random_seed": 42,
    "data": {"train": str(a.work / "train"), "dev": str(a.work / "val"), "test": str(a.work / "test"), "dataset_type": "plain",
             "src": side("de"), "trg": side("en"),
             "special_symbols": {"unk_token": "<unk>", "unk_id": 0, "pad_token": "<pad>", "pad_id": 1, "bos_token": "<s>", "bos_id": 2,
                                 "eos_token": "</s>", "eos_id": 3}},
    "testing": {"n_best": 1, "beam_size": a.beam, "beam_alpha": 1.0, "batch_size": 64, "batch_type": "sentence", "eval_metrics": ["bleu"],
                "max_output_length": 60, "return_prob": "none", "generate_unk": True, "sacrebleu_cfg": {"tokenize": "13a"}},
    "training": {"optimizer": "adamw", "adam_betas": [0.9, 0.999], "learning_rate": 0.002, "learning_rate_min": 1e-6, "clip_grad_norm": 1.0,
                 "weight_decay": 0.0, "label_smoothing": 0.0, "loss": "crossentropy", "normalization": "tokens", "batch_size": 64,
                 "batch_type": "sentence", "batch_multiplier": 1, "early_stopping_metric": "bleu", "epochs": 100, "updates": a.updates,
                 "validation_freq": 10**9, "logging_freq": 20, "overwrite": True, "shuffle": True, "print_valid_sents": [0],
                 "keep_best_ckpts": 1, "scheduling": "plateau", "patience": 2, "decrease_factor": 0.5},
    "model": {"initializer": "xavier_uniform", "bias_initializer": "zeros", "embed_initializer": "normal", "embed_init_weight": 0.1,
              "tied_embeddings": False, "tied_softmax": False,
              "encoder": {"type": "recurrent", "rnn_type": "lstm", "embeddings": embeddings, "hidden_size": 256, "bidirectional": True,
                          "dropout": 0.3, "num_layers": 1},
              "decoder": {"type": "recurrent", "rnn_type": "lstm", "embeddings": embeddings, "hidden_size": 512, "dropout": 0.3,
                          "hidden_dropout": 0.3, "num_layers": 1, "input_feeding": True, "init_hidden": "bridge", "attention": "luong"}}}

if a.mode == "train":
    end = time.monotonic() + a.seconds
    step = training.TrainManager._train_step

    def limited(self, batch):
        result = step(self, batch)
        if time.monotonic() > end:
            self.stats.is_max_update = True
        return result

    training.TrainManager._train_step = limited
    make_model_dir(folder, overwrite=True)
    (folder / "config.yaml").write_text(yaml.dump(config))
    get_logger("", log_file=str(folder / "train.log"))
    training.train(rank=0, world_size=None, cfg=config, skip_test=True)
    rates = [float(x) for x in re.findall(r"Tokens per Sec:\s+([\d.]+)", (folder / "train.log").read_text())]
    print(json.dumps({"tokens_per_second": rates}))
else:
    get_logger("", log_file=str(folder / "decode.log"))
    options = parse_global_args(config, rank=0, mode="test")
    model, _, _, test = prediction.prepare(options, rank=0, mode="test")
    test.reset_indices(random_subset=-1)
    begin = time.perf_counter()
    scores, _, outputs, *_ = prediction.predict(model=model, data=test, compute_loss=False, device=options.device, rank=0, n_gpu=0, num_workers=0,
                                                normalization="tokens", args=options.test, autocast=options.autocast)
    print(json.dumps({"sentences_per_second": len(outputs) / (time.perf_counter() - begin), "bleu": scores["bleu"]}))
