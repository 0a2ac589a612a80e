"""What must hold of trials on a device, CUDA's or this CPU: a line a claim, exit code 1 if one fails.

    python -m benchmarks.device.checks [mlp/digits gpt-nano/stdlib ...] [--steps 20]

Of each workload: a trial is repeated, and resumed from a file, with the same losses (a CPU: to the bit; a GPU: within
`SAME`); bf16 and `torch.compile` stay near fp32; the Hessian's eigenvalues are finite; trials of a population are what
they are alone; and where the device has no memory left, that is said. Needs torch, torchvision, NumPy, SciPy and
scikit-learn alone.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Callable, Iterator

import torch

from benchmarks.device.plain_loop import built
from phitune.trainables.errors import SurroundingsError
from phitune.trainables.population.bench.measure import alone
from phitune.trainables.population.population import Population
from phitune.trainables.spec import Spec
from phitune.trainables.training.requests import Step
from phitune.trainables.workloads.base import Diagnosis
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

WORKLOADS = ("mlp/digits", "cnn/digits", "resnet8/digits", "gpt-nano/stdlib", "resnet18/cifar10")
# Largest relative difference of losses: by order of summation on a GPU, by a lower precision, by a row of many.
SAME, LOWER, ROWS = 1e-4, 0.1, 1e-3
SGD = Spec("sgd")
Losses = list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", default=WORKLOADS)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    failed = 0
    for label in arguments.workloads:
        for claim, holds, figure in claims(label, arguments.steps, device):
            failed += not holds
            print(f"{'holds' if holds else 'FAILS'}  {label:18} {claim:34} {figure}", flush=True)
    if device == "cuda":
        said = _without_memory()
        failed += not said
        print(f"{'holds' if said else 'FAILS'}  a device without memory is said to have none")
    sys.exit(failed > 0)


def claims(label: str, steps: int, device: str) -> Iterator[tuple[str, bool, str]]:
    """Each claim about a workload, whether it holds, and the figure that says so."""
    workload = built(label)
    once = _trained(workload, steps, device)
    for claim, other, most in (
        ("repeated", lambda: _trained(workload, steps, device), SAME if device == "cuda" else 0.0),
        ("resumed half way", lambda: _resumed(workload, steps, device), SAME if device == "cuda" else 0.0),
        ("bf16", lambda: _trained(built(f"{label}(precision=bf16)"), steps, device), LOWER),
        ("compiled", lambda: _trained(built(f"{label}(compile=true)"), steps, device), ROWS),
        ("one of three in a population", lambda: _among_others(workload, steps, device), ROWS),
    ):
        yield claim, *_near(once, other, most)
    ends = workload.learner(SGD, 0, steps, device).diagnose(Diagnosis(hessian=True, examples=256))
    told = ", ".join(f"{name} {value:.3g}" for name, value in ends.items())
    yield "Hessian and gradient are finite", all(map(math.isfinite, ends.values())), told


def _near(once: Losses, other: Callable[[], Losses], most: float) -> tuple[bool, str]:
    """Whether losses differ by no more than that, relatively, and by how much they do."""
    try:
        apart = max(abs(a - b) / abs(a) for a, b in zip(once, other(), strict=True))
    except Exception as error:
        # A claim that cannot be tried is told, and the others are tried still.
        return False, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return apart <= most, f"losses differ by {apart:.2g} at most, allowed {most:g}"


def _trained(workload: TorchWorkload, steps: int, device: str) -> Losses:
    learner = workload.learner(SGD, 0, steps, device)
    return [float(learner.step(_lr(workload))) for _ in range(steps)]


def _resumed(workload: TorchWorkload, steps: int, device: str) -> Losses:
    learner, file = workload.learner(SGD, 0, steps, device), io.BytesIO()
    losses = [float(learner.step(_lr(workload))) for _ in range(steps // 2)]
    torch.save(learner.state_dict(), file)
    file.seek(0)
    again = workload.learner(SGD, 0, steps, device)
    again.load_state_dict(torch.load(file, map_location=device, weights_only=True))
    return losses + [float(again.step(_lr(workload))) for _ in range(steps - len(losses))]


def _among_others(workload: TorchWorkload, steps: int, device: str) -> Losses:
    population = Population(workload, SGD, 3, device)
    requests = {population.enter(seed): Step(_lr(workload), None) for seed in range(3)}
    return [float(population.step(requests)[0]) for _ in range(steps)]  # type: ignore[arg-type]


def _lr(workload: TorchWorkload) -> float:
    """An LR at which nothing diverges: differences grow there, too."""
    return workload.base_lr["sgd"][0]


def _without_memory() -> bool:
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(int(free * 0.98), dtype=torch.uint8, device="cuda")
    try:
        alone(built("resnet18/cifar10(batch_size=8192)"), SGD, "cuda", 0.1)
    except SurroundingsError:
        return True
    finally:
        del taken
        torch.cuda.empty_cache()
    return False


if __name__ == "__main__":
    main()
