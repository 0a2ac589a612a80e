"""A trial's steps beside those of a plain PyTorch loop of the same network, in one process.

    python -m benchmarks.device.plain_loop resnet18/cifar10 --precision bf16 [--seconds 5]

Prints milliseconds a step, the median of many, and their ratio to the plain loop's: a fused SGD with momentum and
`LambdaLR`, over batches gathered from the device's memory, cropped and mirrored with torch alone if the trial's are.
Images of published data sets are noise. On a GPU also the plain loop in `channels_last`, phitune's step compiled, and
the plain step as a CUDA graph, with cudnn's benchmark mode throughout.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from phitune.trainables.population.bench.measure import bench_workload
from phitune.trainables.population.rates import clocked
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

Step = Callable[[], object]
PAD = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", help="such as resnet18/cifar10 or mlp/digits")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--seconds", type=float, default=5.0, help="For each way, about.")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    plain = None
    for name, step in ways(arguments.workload, arguments.precision, device).items():
        median, timed = clocked(step, device, arguments.seconds)
        plain = plain or median
        print(f"{name:28} {1e3 * median:9.3f} ms a step, {median / plain:5.2f} times the plain loop (n = {timed})")


def ways(workload: str, precision: str, device: str) -> dict[str, Step]:
    """One step of each way to train, by its name; the plain loop first."""
    problem, compiled = (built(f"{workload}(precision={precision}{more})") for more in ("", ",compile=true"))
    found = {"plain loop": _Plain(problem, device).step, "phitune": _trial(problem, device)}
    if device == "cuda":
        found["plain loop, channels_last"] = _Plain(problem, device, channels_last=True).step
        found["phitune, compiled"] = _trial(compiled, device)
        found["plain step, CUDA graph"] = _Plain(problem, device, channels_last=True).graph()
    return found


def built(label: str) -> TorchWorkload:
    """The workload of a label, with noise for the images of a published data set."""
    return bench_workload(label, label.split("(")[0].endswith(("cifar10", "cifar100", "mnist", "stl10")))


def _trial(problem: TorchWorkload, device: str) -> Step:
    learner = problem.learner(Spec("sgd"), 0, problem.full_budget, device)
    return lambda: learner.step(0.01)


class _Plain:
    """The loop that anyone would write first."""

    def __init__(self, problem: TorchWorkload, device: str, channels_last: bool = False) -> None:
        self.model = problem.fresh_model(device)
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.problem, self.device = problem, device
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True)
        decay = problem.full_budget
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda t: 0.5 + 0.5 * math.cos(math.pi * min(t / decay, 1))
        )
        self.inputs, self.targets = self._memory()
        self.size = problem.recipe.batch_size
        self.images = self.inputs.ndim == 4
        self.format = torch.channels_last if channels_last else torch.contiguous_format

    def step(self) -> None:
        rows = torch.randint(len(self.targets), (self.size,), device=self.device)
        self.train(self._augmented(self.inputs[rows]), self.targets[rows])
        self.schedule.step()

    def train(self, inputs: Tensor, targets: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        mixed = self.problem.recipe.precision == "bf16"
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=mixed):
            loss = self.problem.loss(self.problem.forward(self.model, inputs), targets)
        torch.autograd.backward(loss)
        self.optimizer.step()

    def graph(self) -> Step:
        """Forward, backward and update of one batch, captured once and replayed."""
        inputs, targets = self.inputs[: self.size], self.targets[: self.size]
        inputs = inputs.contiguous(memory_format=self.format) if self.images else inputs
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(side):
            for _ in range(3):
                self.train(inputs, targets)
        torch.cuda.current_stream().wait_stream(side)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            self.train(inputs, targets)
        return captured.replay

    def _memory(self) -> tuple[Tensor, Tensor]:
        """A hundred of the trial's batches without augmentation, whatever their kind."""
        parts = [self.problem.batch(0, step, self.device) for step in range(100)]
        inputs, targets = (torch.cat(part) for part in zip(*parts, strict=True))
        return inputs, targets

    def _augmented(self, inputs: Tensor) -> Tensor:
        if not self.images:
            return inputs
        height, width = inputs.shape[-2:]
        padded = nn.functional.pad(inputs, (PAD, PAD, PAD, PAD))
        # One window and one mirroring for the batch: the least that a loop can do.
        top, left = (int(at) for at in torch.randint(2 * PAD + 1, (2,)))
        window = padded[..., top : top + height, left : left + width]
        return window.contiguous(memory_format=self.format)


if __name__ == "__main__":
    main()
