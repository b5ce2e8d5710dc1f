"""What the benchmark scripts share: where things lie, running the program, writing docs/results/<name>.json."""
import datetime
import hashlib
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("ATTEND_BUILD", ROOT / "build"))
PROGRAM, PEAK, LIBRARY = BUILD / "attend", BUILD / "peak", pathlib.Path(os.environ.get("ATTEND_LIBRARY", BUILD / "libattend_torch.so"))
DATA = pathlib.Path(os.environ.get("ATTEND_DATA", ROOT.parent / "shared" / "data"))
WORK = pathlib.Path(os.environ.get("ATTEND_WORK", ROOT / "build" / "bench"))


def data(*parts):
    path = DATA.joinpath(*parts)
    if not path.exists():
        sys.exit(f"bench: expected the data set file {path}; found none (set ATTEND_DATA to the folder of the data sets)")
    return path


def folder(name):
    """An empty folder for what a benchmark writes."""
    work = WORK / name
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work


def digest(path):
    return "sha256:" + hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()[:16]


def commit():
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    dirty = subprocess.run(["git", "-C", ROOT, "status", "--porcelain", "--", "attend", "cmake", "CMakeLists.txt"], capture_output=True, text=True).stdout
    return head + ("+changes" if dirty else "")


COMMIT = commit()  # what runs, though work goes on beside it


def machine(threads):
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "")
    units = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags.split()]
    return f"{model}, {units[0] if units else 'no vector units'}, {os.cpu_count()} cores, {threads} threads, fp32 unless said"


def kernel_bytes(file, name):
    """What a line of /proc/FILE says, such as self/status, VmRSS or meminfo, MemAvailable."""
    return next(int(line.split()[1]) * 1024 for line in open(f"/proc/{file}") if line.startswith(name + ":"))


peak_memory = 0  # the most anonymous memory that the program took in any run so far, bytes


def processor_seconds(pid):
    ticks = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def attend(*arguments, log=None, usage=None, program=PROGRAM):
    """Runs the program; its progress goes to `log` or to the terminal. Returns standard output. usage: a dictionary that receives
    `seconds` of processor time, which does not depend on what runs beside, and `memory`, the most anonymous bytes."""
    global peak_memory
    process = subprocess.Popen([str(program), *map(str, arguments)], stdout=subprocess.PIPE, stderr=open(log, "a") if log else None, text=True)
    output = []
    reader = threading.Thread(target=lambda: output.append(process.stdout.read()))
    reader.start()
    while process.poll() is None:
        try:
            memory = kernel_bytes(f"{process.pid}/status", "RssAnon")
            peak_memory = max(peak_memory, memory)
            if usage is not None:
                usage |= {"seconds": processor_seconds(process.pid), "memory": max(memory, usage.get("memory", 0))}
        except (FileNotFoundError, ProcessLookupError, IndexError, StopIteration):
            pass
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            pass
    reader.join()
    if process.returncode:
        sys.exit(f"bench: attend {' '.join(map(str, arguments))} ended with status {process.returncode}" + (f"; see {log}" if log else ""))
    return output[0]


JOEYNMT = ["sacremoses==0.2.0", "tensorboard==2.21.0", "matplotlib==3.11.2", "importlib_metadata==10.2.0", "six", "pyyaml==6.0.4",
           "subword-nmt==0.3.8", "datasets==5.2.0"]


def joeynmt(*arguments):
    """Runs bench/peers/joey.py in a virtual environment of its own, which is made at first; what it prints last, read as JSON."""
    folder = WORK / "joeynmt"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"bench: installing JoeyNMT into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        (next(folder.glob("lib/python3*/site-packages")) / "torch.pth").write_text(next(p for p in sys.path if p.endswith("site-packages")) + "\n")
        subprocess.run([python, "-m", "pip", "-q", "install", "--no-deps", "joeynmt==2.3.0"], check=True)
        subprocess.run([python, "-m", "pip", "-q", "install", *JOEYNMT], check=True)
        (folder / "ready").touch()
    done = subprocess.run([python, ROOT / "bench" / "peers" / "joey.py", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench: JoeyNMT ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def joeynmt_data(work, pieces, files):
    """Lays bpe.txt and {train,val,test}.{de,en} into the folder of joeynmt(), where bpe.model lies."""
    (work / "bpe.txt").write_text("\n".join(pieces.id_to_piece(i) for i in range(4, len(pieces))) + "\n", encoding="utf-8")
    for (part, side), path in files.items():
        (work / f"{part.split('_')[0]}.{side}").symlink_to(path)


def log_lines(model, event):
    return [entry for entry in map(json.loads, open(pathlib.Path(model) / "log.jsonl")) if entry["event"] == event]


def figure(name, values, unit="", target=None):
    """One row of the table: the median of `values` (one number or several) and, of several, half the distance between the extremes."""
    values = values if isinstance(values, list) else [values]
    row = {"name": name, "value": statistics.median(values), "unit": unit}
    if len(values) > 1:
        row["spread"] = (max(values) - min(values)) / 2
        row["values"] = values
    if target:
        row["target"] = target
    return row


def laid_out(value, levels=2, margin="\n"):
    """JSON: the entries of so many levels on a line each, what is deeper within a line."""
    if not levels or not value or not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    inner = margin + " "
    if isinstance(value, list):
        return "[" + ",".join(inner + laid_out(entry, levels - 1, inner) for entry in value) + margin + "]"
    return "{" + ",".join(f"{inner}{json.dumps(key)}: {laid_out(entry, levels - 1, inner)}" for key, entry in value.items()) + margin + "}"


def write(name, title, command, figures, files=(), threads=None, notes="", **more):
    result = {"title": title, "command": command, "commit": COMMIT, "date": datetime.date.today().isoformat(),
              "machine": machine(threads or os.cpu_count()), "data": {str(pathlib.Path(f).relative_to(DATA)): digest(f) for f in files},
              "figures": figures, "notes": notes, **more}
    path = ROOT / "docs" / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(laid_out(result) + "\n")
    for row in figures:
        print(f"{row['name']}: {row['value']:.4g} {row['unit']}" + (f"  (target {row['target']})" if "target" in row else ""))
    print(f"bench: wrote {path.relative_to(ROOT)}")
