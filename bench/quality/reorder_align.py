"""An artificial language pair with exact gold alignments: BLEU, and alignment error rate without and with guided alignment."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import common

files = {part: common.data("synthetic", f"reorder_align.{part}.tsv") for part in ("train", "dev", "test")}
work = common.folder("reorder_align")
columns = [line.split("\t") for line in files["test"].read_text(encoding="utf-8").splitlines()]
for name, column in (("source", 0), ("target", 1), ("gold", 2)):
    (work / name).write_text("\n".join(row[column] for row in columns) + "\n", encoding="utf-8")
figures = []
for guided in (0, 1):
    model = work / f"guided{guided}"
    common.attend("train", "--data.train.tsv", files["train"], "--data.valid.tsv", files["dev"], "--text.tokenizer", "word", "--text.shared", "false",
                  "--train.epochs", 20, "--train.guided_alignment", guided, "--out", model)
    import json
    scores = {m["metric"]: m["value"] for m in json.loads(common.attend("evaluate", model, "--input", work / "source", "--reference", work / "target",
                                                                        "--gold-alignments", work / "gold", "--json"))}
    label = "guided" if guided else "unguided"
    figures += [common.figure(f"{label}: BLEU", scores["bleu"], "", ">= 99"),
                common.figure(f"{label}: alignment error rate", scores["alignment_error_rate"], "", "<= 0.02" if guided else "<= 0.12")]
common.write("reorder_align", "Artificial language pair, alignments", "tools/bench.sh quality/reorder_align", figures, files.values())
