"""What the runs on tinyshakespeare share: nanoGPT's cut of the text and its configuration for a CPU."""
import common

INPUT = common.data("tinyshakespeare", "input.txt")
UPDATES = 2000
OPTIONS = ["--task", "language_model", "--text.tokenizer", "character", "--data.context", 64, "--train.batch_sentences", 12, "--model.decoder.layers", 4,
           "--model.decoder.size", 128, "--model.decoder.feed_forward", 512, "--model.decoder.activation", "gelu", "--model.decoder.positions",
           "{kind: learned, maximum: 64}", "--model.decoder.attention.self.heads", 4, "--model.decoder.embedding_dropout", 0, "--model.decoder.dropout", 0,
           "--train.learning_rate", 0.001, "--train.schedule", "cosine", "--train.final_rate", 0.1, "--train.warmup", 100, "--train.weight_decay", 0.1,
           "--train.beta2", 0.99, "--train.clip", 1, "--train.ema", 0, "--train.patience", 0, "--train.samples", 0, "--train.epochs", 100]


def texts():
    """The first nine tenths and the last, by characters."""
    text = INPUT.read_text(encoding="utf-8")
    cut = int(0.9 * len(text))
    return text[:cut], text[cut:]


def write_texts(work):
    paths = []
    for name, text in zip(("train", "valid"), texts()):
        paths.append(work / f"{name}.txt")
        paths[-1].write_text(text, encoding="utf-8")
    return ["--data.train.text", paths[0], "--data.valid.text", paths[1]], paths[1]
