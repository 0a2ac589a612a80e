"""Convolutions of rows: every form gives the numbers of one convolution a row, and the fastest form is chosen."""

import time

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from phitune.trainables.population.population import Population
from phitune.trainables.population.rows.stack import Stack
from phitune.trainables.population.rules.convolution import FORMS, convolution_rule, fastest_form, has_convolutions
from phitune.trainables.population.rules.normalisation import batch_norm_rule
from phitune.trainables.population.rules.vmap import Rules
from phitune.trainables.spec import Spec
from phitune.trainables.training import Step
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.digits import CnnDigits
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

SGD = Spec("sgd")
ROWS = 3


class Dropping(CnnDigits):
    """With dropout."""

    def model(self) -> nn.Module:
        return nn.Sequential(super().model(), nn.Dropout())


def by_rules(form: str) -> Rules:
    return Rules({F.conv2d: convolution_rule(form), F.batch_norm: batch_norm_rule})


OTHERS = [form for form in FORMS if form != "grouped"]


def digits(name: str, **params: str) -> TorchWorkload:
    built = workload(Spec.of({"name": name, **params}))
    assert isinstance(built, TorchWorkload)
    return built


@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(3, 4, 3),
        nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=(2, 0), dilation=(2, 1)),
        nn.Conv2d(3, 4, 1, stride=3),
        nn.Conv2d(3, 6, 3, padding=1, groups=3),
        nn.Conv2d(3, 4, 3, padding="same"),
    ],
    ids=lambda convolution: convolution.extra_repr(),
)
def test_rows_are_convolved_as_one_after_another(convolution: nn.Conv2d, form: str) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(ROWS, 2, 3, 9, 8, dtype=torch.float64, requires_grad=True)
    named = {
        name: torch.randn(ROWS, *p.shape, dtype=torch.float64, requires_grad=True)
        for name, p in convolution.named_parameters()
    }

    def outputs(row: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(convolution, row, (x,))

    rows = [outputs({name: p[row] for name, p in named.items()}, inputs[row]) for row in range(ROWS)]
    with by_rules(form):
        vmapped = vmap(outputs)(named, inputs)
    torch.testing.assert_close(vmapped, torch.stack(rows), rtol=1e-12, atol=1e-12)
    over = [inputs, *named.values()]
    weights = torch.randn_like(vmapped)
    expected = torch.autograd.grad((torch.stack(rows) * weights).sum(), over)
    gradients = torch.autograd.grad((vmapped * weights).sum(), over)
    for gradient, reference in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("form", OTHERS)
def test_rows_may_share_their_inputs_or_their_weights(form: str) -> None:
    torch.manual_seed(0)
    inputs, weights = torch.randn(ROWS, 2, 3, 5, 5), torch.randn(ROWS, 4, 3, 3, 3)
    with by_rules(form):
        shared_inputs = vmap(F.conv2d, in_dims=(None, 0))(inputs[0], weights)
        shared_weights = vmap(F.conv2d, in_dims=(0, None))(inputs, weights[0])
        neither = vmap(lambda x: x + F.conv2d(inputs[0], weights[0]))(torch.zeros(ROWS, 2, 4, 3, 3))
    for row in range(ROWS):
        torch.testing.assert_close(shared_inputs[row], F.conv2d(inputs[0], weights[row]))
        torch.testing.assert_close(shared_weights[row], F.conv2d(inputs[row], weights[0]))
        torch.testing.assert_close(neither[row], F.conv2d(inputs[0], weights[0]))


@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("name", ["cnn/digits", pytest.param("resnet8/digits", marks=pytest.mark.full)])
def test_a_population_has_the_same_numbers_in_every_form(name: str, form: str) -> None:
    # In single precision ten steps with batch normalisation grow rounding a thousandfold.
    built = digits(name, precision="fp64")
    losses = []
    for convolution in ("grouped", form):
        population = Population(built, SGD, ROWS, convolution=convolution)
        requests = {population.enter(seed): Step(0.1, None) for seed in range(ROWS)}
        losses.append([[float(loss) for loss in population.step(requests)] for _ in range(4)])  # type: ignore[arg-type]
        members = list(requests)
        state = members[0].state_dict()
        losses[-1].append([evaluation.loss for evaluation in population.evaluate(members, "val", True)])  # type: ignore[union-attr]
        losses[-1].append([float(tensor.double().sum()) for tensor in state["model"].values()])
    for numbers, expected in zip(losses[1], losses[0], strict=True):
        assert numbers == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("form", OTHERS)
def test_mixed_precision_is_the_same_in_every_form(form: str) -> None:
    seen = {}
    for convolution in ("grouped", form):
        with by_rules(convolution), torch.autocast("cpu", torch.bfloat16):
            tensors = torch.ones(ROWS, 2, 3, 5, 5), torch.ones(ROWS, 4, 3, 3, 3), torch.ones(ROWS, 4)
            seen[convolution] = vmap(F.conv2d)(*tensors)
    assert seen[form].dtype == seen["grouped"].dtype == torch.bfloat16
    assert torch.equal(seen[form], seen["grouped"])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalisation_of_rows_keeps_their_statistics(form: str, affine: bool) -> None:
    torch.manual_seed(0)
    norms = [nn.BatchNorm2d(3, affine=affine).double() for _ in range(ROWS)]
    inputs = torch.randn(ROWS, 4, 3, 5, 5, dtype=torch.float64)
    named = {
        name: torch.stack([norm.state_dict()[name].clone() for norm in norms]).requires_grad_(name == "weight")
        for name in norms[0].state_dict()
    }
    for training in (True, False):
        rows = torch.stack([norm.train(training)(x) for norm, x in zip(norms, inputs, strict=True)])
        with by_rules(form):
            vmapped = vmap(lambda row, x: functional_call(norms[0].train(training), row, (x,)))(named, inputs)  # noqa: B023
        torch.testing.assert_close(vmapped, rows, rtol=1e-12, atol=1e-12)
        for name, tensor in named.items():
            torch.testing.assert_close(tensor, torch.stack([norm.state_dict()[name] for norm in norms]))


@pytest.mark.parametrize("form", FORMS)
def test_a_population_in_mixed_precision_is_about_what_a_trial_is_alone(form: str) -> None:
    built = digits("cnn/digits", precision="bf16")
    population = Population(built, SGD, ROWS, convolution=form)
    requests = {population.enter(seed): Step(0.1, None) for seed in range(ROWS)}
    losses = [float(loss) for loss in population.step(requests)]  # type: ignore[arg-type]
    alone = [float(built.learner(SGD, seed, 10).step(0.1)) for seed in range(ROWS)]
    assert losses == pytest.approx(alone, rel=2e-3)


def test_the_fastest_form_with_enough_memory_is_chosen() -> None:
    tried = []

    def step(form: str, rows: int) -> None:
        tried.append(rows)
        if form == "grouped" or rows > 4:
            raise torch.OutOfMemoryError
        time.sleep(0.2 if form == "loop" else 0)

    assert fastest_form(step, 16, "cpu") == "unfold"
    assert sorted(set(tried)) == [4, 8, 16]


def test_an_error_that_is_not_of_memory_is_seen() -> None:
    def step(form: str, rows: int) -> None:
        if form == "unfold":
            raise RuntimeError("not yet implemented")

    with pytest.warns(UserWarning, match="not yet implemented"):
        assert fastest_form(step, 5, "cpu") != "unfold"


def test_without_memory_for_two_the_form_does_not_matter() -> None:
    def step(form: str, rows: int) -> None:
        raise torch.OutOfMemoryError

    assert fastest_form(step, 5, "cpu") == "grouped"


def test_a_stack_times_its_own_step_and_trains_on_as_before() -> None:
    built = digits("cnn/digits")
    stack = Stack(built, SGD, ROWS, "cpu")
    assert stack.convolution == "grouped"
    assert stack.fastest_convolution() in FORMS
    assert stack.convolution == "grouped"
    assert Stack(built, SGD, ROWS, "cpu").fastest_convolution() == stack.fastest_convolution()
    losses = []
    for timed in (stack, Stack(built, SGD, ROWS, "cpu")):
        for row in range(ROWS):
            timed.begin(row, row)
        losses.append([timed.step(range(ROWS), [0.1] * ROWS, [None] * ROWS)[0] for _ in range(2)])
    assert torch.equal(torch.stack(losses[0]), torch.stack(losses[1]))


def test_networks_that_draw_are_timed_too() -> None:
    stack = Stack(Dropping(), SGD, ROWS, "cpu")
    for row in range(ROWS):
        stack.begin(row, row)
    assert not stack.stochastic
    assert stack.fastest_convolution() in FORMS
    assert stack.stochastic


def test_only_networks_with_convolutions_are_timed() -> None:
    assert has_convolutions(digits("resnet8/digits").model())
    assert not has_convolutions(digits("mlp/digits").model())


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="one of grouped, loop, unfold, not 'folded'"):
        convolution_rule("folded")
