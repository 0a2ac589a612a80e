"""How fast results are loaded and analysed: `python -m benchmarks.analysis_speed [load|client|analyze] [--trials N]`.

Makes a study in a fresh embedded database of MLflow's own schema. `load` (100,000 trials): read from SQLite, with the
cache, and from Parquet, each in a fresh process. `client` reads the same through MLflow's client (take fewer).
`analyze` (10,000 trials in 200 cells): the parts of `phitune analyze`, and the command as a whole.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.made_database import make_database
from phitune.trainables.uri import database_uri

_STUDY = "speed"
_FROM_DIRECTORY = "from phitune.analysis.results import find_study, load; f = lambda: load(find_study({out!r}))"
_PARTS = {
    "SQLite": "from phitune.analysis.results import find_study, load; f = lambda: load(find_study({name!r}, {uri!r}))",
    "SQLite, cache empty": _FROM_DIRECTORY,
    "SQLite, cache full": _FROM_DIRECTORY,
    "Parquet": (
        "from pathlib import Path; from phitune.analysis.results import read_parquet; "
        "f = lambda: read_parquet(Path({out!r}) / '.results.parquet')"
    ),
}
_CLIENT = (
    "from phitune.analysis.results import find_study; from phitune.analysis.results.mlflow_runs import client as m; "
    "r = find_study({name!r}, {uri!r}); "
    "f = lambda: m.ended_trials(r, m.parent_run_id(r))"
)
_TIMED = "import time; began = time.perf_counter(); t = f(); print(len(t), time.perf_counter() - began)"


def timed(part: str, values: dict[str, str]) -> None:
    """Prints what a part takes, in a process of its own."""
    code = f"{_PARTS.get(part, _CLIENT).format(**values)}; {_TIMED}"
    began = time.perf_counter()
    timing = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wall = time.perf_counter() - began
    n, seconds = timing.stdout.split()
    print(f"{part}: {n} rows in {float(seconds):.2f} s; {wall:.2f} s with the process's start and imports", flush=True)


def stages(values: dict[str, str]) -> None:
    """Prints what the stages of an analysis take in one process, then the whole command."""
    code = """
import time
from phitune.analysis.results import gather
from phitune.analysis.guidelines.guidelines import build
def clock(what, f):
    began = time.perf_counter()
    out = f()
    print(f"{{what}}: {{time.perf_counter() - began:.2f}} s", flush=True)
    return out
table = clock("loading", lambda: gather([{out!r}])).table
clock("guidelines", lambda: build(table))
"""
    subprocess.run([sys.executable, "-c", code.format(**values)], check=True)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "phitune", "analyze", values["out"]], check=True, stdout=subprocess.DEVNULL)
    print(f"phitune analyze as a whole: {time.perf_counter() - began:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("load", "client", "analyze"), default="load")
    parser.add_argument("--trials", type=int, help="100000 to load, 5000 through the client, 10000 to analyse.")
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="Kept, and used again; by default a temporary one.")
    arguments = parser.parse_args()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    trials = arguments.trials or {"load": 100_000, "client": 5_000, "analyze": 10_000}[arguments.what]
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        uri = database_uri((folder / "mlflow.db").resolve())
        out = folder / "runs" / _STUDY
        if not out.exists():
            began = time.perf_counter()
            parent = make_database(folder / "mlflow.db", _STUDY, trials, arguments.cells)
            out.mkdir(parents=True)
            (out / "study.json").write_text(json.dumps({"name": _STUDY, "tracking_uri": uri, "parent_run_id": parent}))
            size = (folder / "mlflow.db").stat().st_size / 2**20
            seconds = time.perf_counter() - began
            print(f"{trials} trials in {arguments.cells} cells, {size:.0f} MiB, made in {seconds:.0f} s")
        (out / ".results.parquet").unlink(missing_ok=True)
        values = {"name": _STUDY, "uri": uri, "out": str(out)}
        if arguments.what == "analyze":
            stages(values)
        else:
            for part in _PARTS if arguments.what == "load" else ["MLflow's client"]:
                timed(part, values)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    print(f"largest process: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
