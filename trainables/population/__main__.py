"""`python -m phitune.trainables.population --bench WORKLOAD`: the speed-up of a population on this machine.

Needs torch, torchvision, NumPy, SciPy and scikit-learn only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import torch

from phitune.trainables.errors import InputError, SurroundingsError
from phitune.trainables.population.bench.measure import Timing, alone, bench_workload, figures, peak, together
from phitune.trainables.population.rules.convolution import FORMS
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import schedule_free
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

_HEAD = (
    f"{'k':>6} {'ms a round':>11} {'ms a step':>10} {'steps/s':>9} {'× alone':>8} {'MiB a trial':>12}"
    f" {'of matmul':>10} {'of copy':>8}  convolutions"
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def main(arguments: list[str]) -> None:
    """Prints the table; with ``--json`` also writes it."""
    options = _options(arguments)
    device = _device(options.device)
    workload = bench_workload(options.bench, options.synthetic, options.precision)
    optimizer = Spec.parse(options.optimizer, "optimizers")
    workload.check(optimizer)
    if schedule_free(optimizer):
        raise InputError(f"optimizer: {options.optimizer!r} is not allowed; it trains one network at a time")
    most = peak(workload, device, options.seconds)
    one = alone(workload, optimizer, device, options.seconds)
    machine = _machine(device)
    print(f"{options.bench} with {optimizer.label}, {workload.recipe.precision}, batch {workload.recipe.batch_size}")
    print(f"{machine}: {most.flops / 1e12:.3g} TFLOP/s in a matmul, {most.bytes / 1e9:.3g} GB/s in a copy")
    print(
        f"a step: {one.work.flops / 1e9:.3g} GFLOP, {one.work.bytes / 1e6:.3g} MB read and written if nothing is cached"
    )
    print(_HEAD)
    print(_line("alone", figures(one, one, most)), flush=True)
    rows = []
    for many in _timings(options, workload, optimizer, device):
        rows.append(figures(one, many, most))
        print(_line(str(many.trials), rows[-1]), flush=True)
    if options.json is not None:
        content = {
            "workload": options.bench, "synthetic": options.synthetic, "optimizer": optimizer.label,
            "precision": workload.recipe.precision, "machine": machine, "peak": asdict(most),
            "work": asdict(one.work), "alone": figures(one, one, most), "rows": rows,
        }  # fmt: skip
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _timings(options: argparse.Namespace, workload: TorchWorkload, optimizer: Spec, device: str) -> Iterator[Timing]:
    """Timings for each number of rows, up to the first for which memory is short."""
    for k in options.rows:
        try:
            many = together(workload, optimizer, k, device, options.seconds, options.convolution)
        except torch.OutOfMemoryError:
            print(f"{k:>6} out of memory")
            return
        yield many
        if many.together < k:
            print(f"{'':>6} memory for {many.together} at once; more would show nothing new")
            return


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = _Parser(
        "python -m phitune.trainables.population",
        description="The speed-up of training many trials at once on this machine.",
    )
    parser.add_argument("--bench", metavar="WORKLOAD", required=True, help="As in a study: NAME or NAME(key=value).")
    parser.add_argument("--rows", type=_counts, default=[1, 4, 16, 64, 256], help="Trials at once: 1,4,16,64,256.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--seconds", type=_positive, default=2.0, help="To time each k for.")
    parser.add_argument("--optimizer", default="sgd", help="As in a study.")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="By default the workload's.")
    parser.add_argument("--convolution", choices=FORMS, help="By default the fastest on a GPU, grouped on a CPU.")
    parser.add_argument("--synthetic", action="store_true", help="Noise in place of the images of a data set.")
    parser.add_argument("--json", type=_file, metavar="FILE", help="Where the figures go too.")
    return parser.parse_args(arguments)


def _device(name: str) -> str:
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: 'cuda' is not allowed; torch sees no GPU here")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def _machine(device: str) -> str:
    if device == "cpu":
        count = torch.get_num_threads()
        threads = f"{count} threads" if count > 1 else "one thread, in CPU time"
        return f"CPU, {threads}, torch {torch.__version__}"
    return f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}"


def _line(name: str, row: dict[str, Any]) -> str:
    memory = "–" if row["mib_a_trial"] is None else f"{row['mib_a_trial']:.1f}"
    return (
        f"{name:>6} {row['ms_a_round']:>11.3f} {row['ms_a_step']:>10.4f} {row['steps_a_second']:>9.0f}"
        f" {row['over_alone']:>8.2f} {memory:>12} {row['matrix_share']:>10.1%} {row['copy_share']:>8.1%}"
        f"  {row['convolution'] or '–'}"
    )


def _counts(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; write whole numbers of at least 1, as in 1,4,16")
    return [int(part) for part in parts]


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; it must be a number above 0")
    return value


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; it must be a file in a folder that is there")
    return path


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (InputError, SurroundingsError) as error:
        print(error, file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
