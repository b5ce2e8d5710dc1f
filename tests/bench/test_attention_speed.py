"""The benchmark of attention runs, and what it says of its records."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(os.environ.get("ATTEND_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(SOURCE / "bench"))

import attention_speed  # noqa: E402
import common  # noqa: E402
from attention import figures, lengths, rows  # noqa: E402


def test_every_row_runs_on_tiny_sizes():
    """Without compiling, which would take minutes: FlexAttention and torch.compile then run their functions as they stand."""
    environment = {**os.environ, "TORCHDYNAMO_DISABLE": "1"}
    done = subprocess.run([sys.executable, SOURCE / "bench/attention_speed.py", "--smoke"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout
    shown = done.stdout.split("== figures\n")[1].splitlines()
    assert {line.split()[0] for line in shown} == set(attention_speed.NUMBERS)


def test_unknown_row():
    done = subprocess.run([sys.executable, SOURCE / "bench/attention_speed.py", "--rows", "4.1,5"], capture_output=True, text=True)
    assert done.returncode == 1 and "found 5" in done.stderr


ROW = rows.ROWS[0]


def record(threads, malloc, ours, peers, gflops=100.0):
    return {"row": ROW.number, "workload": str(ROW.workload), "phase": rows.FORWARD, "threads": threads, "malloc": malloc,
            "peak": {"clock_ghz": 4.0, "fp32_gflops": gflops, "bf16_gflops": gflops}, "ours": {"attend": ours}, "peers": peers}


def named(found, text):
    (figure,) = [figure for figure in found if text in figure["name"]]
    return figure


def test_a_figure_is_the_worse_allocation_against_the_best_peer():
    records = [record(1, "default", [1.0, 1.0, 2.0], {"slow": [90.0] * 3, "fast": [30.0] * 3}),
               record(1, "tuned", [1.0] * 3, {"fast": [20.0] * 3}), record(2, "tuned", [1.0] * 3, {"fast": [26.0] * 3})]
    figure = named(figures.all_figures(records, [ROW]), "1 thread, tuned malloc: fast / attend")
    assert figure["value"] == 20 and figure["target"] == ">= 25"
    assert named(figures.all_figures(records, [ROW]), "2 threads, tuned malloc: fast / attend")["value"] == 26
    assert not [f for f in figures.all_figures(records, [ROW]) if "slow" in f["name"]]
    assert figures.table(records, [ROW])["rows"][:1] == [["4.1", str(ROW.workload), rows.FORWARD, 1, 1000.0, "fast", 30000.0, 1000.0, "fast", 20000.0]]


def test_scaling_is_that_over_the_peak_loops():
    records = [record(1, "default", [3.0], {"p": [9.0]}), record(2, "default", [2.0], {"p": [9.0]}, gflops=150.0)]
    assert named(figures.all_figures(records, [ROW]), "second thread")["value"] == pytest.approx(1)


def test_parts_of_a_run_are_kept_where_all_is_equal(tmp_path, monkeypatch):
    (tmp_path / "docs/results").mkdir(parents=True)
    monkeypatch.setattr(common, "ROOT", tmp_path)
    monkeypatch.setattr(common, "COMMIT", "abc")
    monkeypatch.setattr(sys, "argv", ["attention_speed.py", "--rows", "4.1"])
    a, same = attention_speed.arguments(), {"commit": "abc", "machine": "m"}
    assert attention_speed.kept(a, same) == []
    others = [{"row": "4.2"}, {"row": rows.LENGTHS}]
    (tmp_path / "docs/results/attention_speed.json").write_text(json.dumps({**same, "records": [{"row": "4.1"}, *others]}))
    assert attention_speed.kept(a, same) == others
    assert attention_speed.kept(a, {**same, "machine": "another"}) == []
    monkeypatch.setattr(common, "COMMIT", "abc+changes")
    assert attention_speed.kept(a, {**same, "commit": "abc+changes"}) == []


def test_a_result_is_json_with_a_figure_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "ROOT", tmp_path)
    table = {"heads": ["h"], "rows": [[1, "2"]]}
    common.write("x", "title", "command", [common.figure("a", [1.5, 2e-7, 3]), common.figure("ü", 1)], table=table)
    text = (tmp_path / "docs/results/x.json").read_text()
    result = json.loads(text)
    assert result["table"] == table and result["figures"][0]["values"] == [1.5, 2e-7, 3] and result["data"] == {}
    assert '\n  {"name": "ü", "value": 1, "unit": ""}\n' in text


def test_a_length_that_would_take_too_long_is_left_out():
    done = [{"seconds": 1, "bytes": 100}, {"seconds": 4, "bytes": 100}]
    assert lengths.fits(done[:1], 1) and lengths.fits(done, 1000)
    assert not lengths.fits(done, 300)  # bytes, were they to double
    assert not lengths.fits([*done, {"seconds": 16, "bytes": 100}], 1000)
