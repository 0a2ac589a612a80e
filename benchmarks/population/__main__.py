"""`python -m benchmarks.population`: trials an hour of this device, into benchmarks/results/population-*.{json,md}.

Each workload (a) in one process, (b) in several processes side by side, (c) in a population of k. Needs torch,
torchvision, NumPy, SciPy and scikit-learn alone, and no data sets: images are noise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine
from benchmarks.population.report import report
from benchmarks.population.single import packed
from phitune.trainables.population.bench.measure import alone, bench_workload, figures, peak, together
from phitune.trainables.spec import Spec

RESULTS = Path(__file__).parents[1] / "results"
PACKAGES = ("torch", "numpy")
WORKLOADS = (
    "mlp/digits", "cnn/digits", "resnet8/digits", "gpt-nano/stdlib", "resnet8/cifar10", "vit-tiny/cifar10",
    "resnet18/cifar10",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cuda = torch.cuda.is_available()
    parser.add_argument("--workloads", nargs="+", default=WORKLOADS)
    parser.add_argument("--optimizer", default="sgd")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4, 16, 64, 256] if cuda else [1, 4, 16])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4, 8, 16] if cuda else [1, 2])
    parser.add_argument("--seconds", type=float, default=3.0, help="For each figure, about.")
    parser.add_argument(
        "--longest",
        type=float,
        default=60.0 if cuda else 12.0,
        help="A larger k is left out if its round takes longer.",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="Workloads of an earlier run there are kept.")
    arguments = parser.parse_args()
    device = "cuda" if cuda else "cpu"
    if not cuda:
        # As trials of one core have it.
        torch.set_num_threads(1)
    name = f"population-{device}{'' if arguments.precision == 'fp32' else '-' + arguments.precision}"
    path = arguments.out / f"{name}.json"
    content: dict[str, Any] = _header(device)
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    same = kept.get("machine") == content["machine"] and kept.get("versions") == content["versions"]
    content["workloads"] = kept["workloads"] if same else {}
    for label in arguments.workloads:
        print(label, flush=True)
        content["workloads"][label] = _measured(label, arguments, device)
        arguments.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(report(content), encoding="utf-8")
    print(path)


def _measured(label: str, arguments: argparse.Namespace, device: str) -> dict[str, Any]:
    made_up = label.endswith(("cifar10", "cifar100", "mnist"))
    precise = f"{label}(precision={arguments.precision})"
    workload, optimizer = bench_workload(precise, made_up), Spec.parse(arguments.optimizer, "optimizers")
    most = peak(workload, device, arguments.seconds)
    one = alone(workload, optimizer, device, arguments.seconds)
    content: dict[str, Any] = {
        "optimizer": arguments.optimizer,
        "precision": arguments.precision,
        "full_budget": workload.full_budget,
        "load": round(os.getloadavg()[0], 2),
        "matmul_tflops": most.flops / 1e12,
        "copy_gb_s": most.bytes / 1e9,
        "gflop_a_step": one.work.flops / 1e9,
        "alone": figures(one, one, most),
        "processes": [
            packed(n, precise, made_up, arguments.optimizer, device, arguments.seconds) for n in arguments.processes
        ],
        "population": [],
        "left_out": {},
    }
    last = one
    for k in arguments.rows:
        if last.seconds * k / last.trials > arguments.longest:
            content["left_out"][k] = f"a round would take more than {arguments.longest:g} s"
            continue
        try:
            last = together(workload, optimizer, k, device, arguments.seconds)
        except torch.OutOfMemoryError:
            content["left_out"][k] = "out of memory"
            break
        content["population"].append(figures(one, last, most))
        print(f"  k = {k}: {content['population'][-1]['over_alone']:.2f} × alone", flush=True)
    return content


def _header(device: str) -> dict[str, str]:
    """Command, machine with its GPU, versions and date."""
    if device == "cpu":
        return {**machine.header(PACKAGES), "device": device}
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.split("\n")[0]
    content = machine.header(PACKAGES, f"CUDA {torch.version.cuda}")
    content["machine"] += f", {torch.cuda.get_device_name()}, driver {driver}"
    return {**content, "device": device}


if __name__ == "__main__":
    main()
