"""The bench: what it counts, what it prints, that it needs torch and little else, and bad input."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from phitune.trainables.errors import InputError
from phitune.trainables.population import __main__ as command
from phitune.trainables.population.bench.measure import Peak, Timing, alone, figures, together
from phitune.trainables.population.bench.synthetic import synthetic
from phitune.trainables.population.rates import Work, clocked, copy_rate, matrix_rate, work
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.torch_problem import Batch
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

SGD = Spec("sgd")
QUICK = ["--seconds", "0.01", "--device", "cpu"]
# What a bare GPU machine does not have.
WITHOUT = """
import sys
from importlib.util import spec_from_loader

class Missing:
    def find_spec(self, name, path=None, target=None):
        missing = "ray mlflow optuna schedulefree pydantic yaml pandas typer rich pyarrow matplotlib psutil".split()
        return spec_from_loader(name, self) if name.split(".")[0] in missing else None

    def create_module(self, spec):
        raise ModuleNotFoundError(f"no {spec.name}", name=spec.name)

    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Missing())
import runpy
sys.argv[0] = "phitune.trainables.population"
runpy.run_module("phitune.trainables.population", run_name="__main__")
"""


def digits(label: str) -> TorchWorkload:
    built = workload(Spec.parse(label))
    assert isinstance(built, TorchWorkload)
    return built


def test_the_work_of_a_matrix_product_is_counted() -> None:
    left, right = torch.zeros(3, 5), torch.zeros(5, 7)
    assert work(lambda: left @ right) == Work(flops=2 * 3 * 5 * 7, bytes=4 * (3 * 5 + 5 * 7 + 3 * 7))


def test_bytes_are_counted_where_memory_is_touched() -> None:
    table, out = torch.zeros(1000, 8), torch.zeros(4)
    assert work(lambda: table.view(8, 1000).T[:3]).bytes == 0
    assert work(lambda: out.add_(1)).bytes == 2 * out.nbytes
    # Three rows are read and written, and their numbers read.
    assert work(lambda: table[torch.tensor([1, 2, 3])]).bytes == 3 * 8 + 2 * 3 * 8 * 4
    assert work(lambda: table[:1].expand(1000, 8).sum()).bytes <= table.nbytes + 4


def test_a_step_of_the_mlp_takes_its_matrix_products() -> None:
    timing = alone(digits("mlp/digits(batch_size=100)"), SGD, "cpu", 0.01)
    forward = 2 * 100 * (64 * 64 + 64 * 64 + 64 * 10)
    # Backwards there is one product for the weights and, but for the first layer, one for the layer below.
    assert timing.work.flops == 3 * forward - 2 * 100 * 64 * 64
    assert timing.trials == timing.together == 1
    assert timing.timed >= 3
    assert timing.memory is None


def test_a_population_does_the_work_of_its_trials() -> None:
    built = digits("mlp/digits")
    one, many = alone(built, SGD, "cpu", 0.01), together(built, SGD, 3, "cpu", 0.01)
    assert many.work.flops == 3 * one.work.flops
    assert many.trials == many.together == 3


@pytest.mark.parametrize("form", ["grouped", "loop", "unfold"])
def test_the_form_of_convolutions_is_the_one_asked_for(form: str) -> None:
    assert together(digits("cnn/digits"), SGD, 2, "cpu", 0.01, form).convolution == form


def test_figures_are_as_they_are_said_to_be() -> None:
    one = Timing(1, 1, 0.5, 3, Work(flops=100, bytes=10), None)
    many = Timing(4, 2, 1.0, 3, Work(flops=0, bytes=60), 3 * 2**20, "loop")
    row = figures(one, many, Peak(flops=1000, bytes=120))
    assert row == {
        "k": 4, "together": 2, "convolution": "loop", "rounds": 3, "ms_a_round": 1000, "ms_a_step": 250,
        "steps_a_second": 4, "over_alone": 2, "mib_a_trial": 3, "matrix_share": 0.4, "copy_share": 0.5,
    }  # fmt: skip


def test_clocking_counts_what_it_times() -> None:
    calls: list[int] = []
    seconds, timed = clocked(lambda: calls.append(1), "cpu", 0.01)
    assert 0 < seconds < 0.01
    assert len(calls) == timed + 3


def test_rates_are_of_this_machine() -> None:
    assert 1e8 < matrix_rate("cpu", torch.float32, 0.01) < 1e14
    assert 1e7 < copy_rate("cpu", 0.01) < 1e13


def test_it_runs_where_there_is_torch_and_little_else(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT, "--bench", "mlp/digits", "--rows", "1,3", "--json", str(out), *QUICK],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    table = process.stdout.splitlines()
    assert table[0] == "mlp/digits with sgd, fp32, batch 128"
    assert [line.split()[0] for line in table[3:]] == ["k", "alone", "1", "3"]
    content = json.loads(out.read_text(encoding="utf-8"))
    assert [row["k"] for row in content["rows"]] == [1, 3]
    assert content["alone"]["over_alone"] == 1


def test_memory_that_is_short_ends_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--bench", f"{__name__}:Greedy", "--rows", "1,2,4,8", *QUICK])
    table = capsys.readouterr().out.splitlines()[5:]
    assert [line.split()[0] for line in table] == ["1", "2", "4", "memory"]
    assert table[-1].strip() == "memory for 2 at once; more would show nothing new"


def test_no_memory_for_any_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # A workload of these tests' own, which has less room now.
    monkeypatch.setattr(Greedy, "most", 0)
    command.main(["--bench", f"{__name__}:Greedy", "--rows", "2,4", *QUICK])
    assert capsys.readouterr().out.splitlines()[5:] == ["     2 out of memory"]


def test_made_up_images_have_the_shape_and_number_of_the_published() -> None:
    built = synthetic(Spec.parse("cnn/mnist(batch_size=16,root=nowhere)"))
    built.check(SGD)
    assert {name: tuple(data.inputs.shape) for name, data in built.data().items()} == {
        "train": (54_000, 1, 28, 28), "val": (6_000, 1, 28, 28), "test": (6_000, 1, 28, 28),
    }  # fmt: skip
    assert built.data()["train"].targets.unique().tolist() == list(range(10))
    assert together(built, SGD, 2, "cpu", 0.01).trials == 2
    with pytest.raises(InputError, match="no CIFAR10 in"):
        workload(Spec.parse("cnn/cifar10(root=nowhere)")).check(SGD)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "1"], "--bench"),
        (["--bench", "mlp/digit"], "unknown workload 'mlp/digit'; did you mean 'mlp/digits'"),
        (["--bench", "mlp/digits(batch=1)"], "unknown parameter"),
        (["--bench", "quadratic"], "bench: quadratic is not allowed"),
        (["--bench", "cnn/cifar10(root=nowhere)"], "no CIFAR10 in"),
        (["--bench", "mlp/digits", "--rows", "1,0"], r"--rows: '1,0' is not allowed; .* at least 1"),
        (["--bench", "mlp/digits", "--seconds", "nan"], r"--seconds: 'nan' is not allowed; .* above 0"),
        (["--bench", "mlp/digits", "--optimizer", "sdg"], "unknown optimizer 'sdg'; did you mean 'sgd'"),
        (["--bench", "mlp/digits", "--optimizer", "schedulefree-sgd"], "optimizer: 'schedulefree-sgd' is not allowed"),
        (["--bench", "mlp/digits", "--precision", "fp8"], "--precision: invalid choice: 'fp8'"),
        (["--bench", "mlp/digits", "--json", "no/such/file"], "--json: 'no/such/file' is not allowed"),
        (["--bench", "mlp/digits", "--synthetic"], "synthetic: mlp/digits is not allowed"),
        (["--bench", "cnn/images", "--synthetic"], "synthetic: images is not allowed"),
    ],
)
def test_bad_input_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        command.main([*arguments, *QUICK])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_none_can_be_asked_for() -> None:
    with pytest.raises(InputError, match="device: 'cuda' is not allowed; torch sees no GPU here"):
        command.main(["--bench", "mlp/digits", "--device", "cuda"])


@pytest.mark.full
def test_bad_input_is_one_line_and_exit_code_2() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "phitune.trainables.population", "--bench", "mlp/digits", "--rows", "many"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr.splitlines() == [
        "argument --rows: 'many' is not allowed; write whole numbers of at least 1, as in 1,4,16"
    ]


class Greedy(MlpDigits):
    """Has memory for the batches of so many trials."""

    most = 2

    def batches(self, seeds: Sequence[int], steps: Sequence[int], device: str) -> Batch:
        if len(seeds) > self.most:
            raise torch.OutOfMemoryError
        return super().batches(seeds, steps, device)
