"""The callbacks in Lightning's Trainer, under both of its names, and what configure_optimizers returns."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import schedule
from phitune.trainables.training.function import Trial, spawn
from tests.integrations.trials import Search, plan, resumed
from tests.system.harness.requirements import require_packages

require_packages("lightning", extra="lightning")

from lightning.pytorch import Callback, LightningModule, Trainer  # noqa: E402
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint  # noqa: E402
from lightning.pytorch.loggers import CSVLogger  # noqa: E402

from phitune.integrations.lightning import ScheduleCallback, TrialCallback, optimizer_and_schedule  # noqa: E402

STEPS = 12
UBA = schedule("uba", phi=2.0, warmup=2)


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning writes to the working directory."""
    monkeypatch.chdir(tmp_path)


def u(step: int, horizon: int = STEPS) -> float:
    return float(UBA.u(step, horizon))


def batches(count: int) -> Any:
    inputs = torch.randn(8 * count, 4, generator=torch.Generator().manual_seed(count))
    return DataLoader(TensorDataset(inputs, inputs.sum(1, keepdim=True)), batch_size=8)


class Regression:
    """Linear regression, as a mixin of a LightningModule, that keeps what its optimizer has at each of its steps."""

    def __init__(self, configured: Any = lambda module: torch.optim.SGD(module.parameters(), 0.1, 0.9)) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = torch.nn.Linear(4, 1)
        self.configured = configured
        self.lrs: list[list[float]] = []
        self.momenta: list[float] = []

    def training_step(self, batch: Any, index: int) -> Any:
        loss = (self.line(batch[0]) - batch[1]).square().mean()
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        error = self.line(batch[0]) - batch[1]
        self.log("val_loss", error.square().mean())
        self.log("val_error", error.abs().mean())

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.lrs.append([group["lr"] for group in optimizer.param_groups])
        self.momenta.append(optimizer.param_groups[0]["momentum"])

    def configure_optimizers(self) -> Any:
        return self.configured(self)


class Line(Regression, LightningModule):  # type: ignore[misc]
    pass


class DiesAt(Callback):  # type: ignore[misc]
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("dies")


def trainer(*callbacks: Any, kind: Any = Trainer, **more: Any) -> Any:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    settings = {"max_steps": STEPS, "max_epochs": -1, "accelerator": "cpu", "enable_model_summary": False, **quiet}
    return kind(callbacks=list(callbacks), **(settings | more))


def fit(*callbacks: Any, module: Any = None, ckpt_path: Any = None, train: int = 5, **more: Any) -> tuple[Any, Any]:
    module = module or Line()
    run = trainer(*callbacks, **more)
    run.fit(module, batches(train), batches(2), ckpt_path=ckpt_path)
    return run, module


@pytest.mark.parametrize("accumulated", [1, 3])
def test_the_schedule_is_that_of_optimizer_steps(accumulated: int) -> None:
    _, module = fit(ScheduleCallback(UBA), accumulate_grad_batches=accumulated)
    assert module.lrs == [pytest.approx([0.1 * u(step)]) for step in range(STEPS)]


def test_epochs_are_counted_in_optimizer_steps() -> None:
    _, module = fit(ScheduleCallback(UBA), max_steps=-1, max_epochs=3, accumulate_grad_batches=2)
    steps = 3 * 3  # 5 batches an epoch, by twos
    assert module.lrs == [pytest.approx([0.1 * u(step, steps)]) for step in range(steps)]


def test_groups_keep_their_ratios_below_the_base_lr_and_momentum_is_cycled() -> None:
    def configured(module: Any) -> Any:
        groups = [{"params": [module.line.weight], "lr": 0.01}, {"params": [module.line.bias], "lr": 0.04}]
        return torch.optim.SGD(groups, momentum=0.9)

    onecycle = schedule("onecycle")
    _, module = fit(ScheduleCallback(onecycle, base_lr=0.2), module=Line(configured))
    factors = onecycle.u(range(STEPS), STEPS)
    assert module.lrs == [pytest.approx([0.05 * factor, 0.2 * factor]) for factor in factors]
    assert module.momenta == [onecycle.momentum(step, STEPS) for step in range(STEPS)]


def test_lightnings_monitor_logs_the_lr(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path)
    fit(ScheduleCallback(UBA), LearningRateMonitor(), logger=logger, log_every_n_steps=1)
    header, *lines = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("lr-SGD")
    values = [float(cell) for line in lines if (cell := line.split(",")[column])]
    assert values == pytest.approx([0.1 * u(step) for step in range(STEPS)])


def test_a_resumed_trainer_goes_on_exactly(tmp_path: Path) -> None:
    checkpoints = ModelCheckpoint(tmp_path, "{step}", save_top_k=-1, every_n_train_steps=5)
    more = {"enable_checkpointing": True, "accumulate_grad_batches": 2, "train": 10}
    _, whole = fit(ScheduleCallback(UBA, base_lr=0.03), checkpoints, **more)
    _, rest = fit(ScheduleCallback(UBA, base_lr=0.03), ckpt_path=tmp_path / "step=5.ckpt", **more)
    assert rest.lrs == whole.lrs[5:]
    assert rest.line.weight.tolist() == whole.line.weight.tolist()


def test_a_checkpoint_of_another_horizon_is_refused_unless_extended(tmp_path: Path) -> None:
    checkpoints = ModelCheckpoint(tmp_path, "{step}", save_top_k=-1, every_n_train_steps=5)
    fit(ScheduleCallback(UBA), checkpoints, enable_checkpointing=True)
    saved = tmp_path / "step=5.ckpt"
    with pytest.raises(InputError, match="from a schedule of 12 steps, this one has 24"):
        fit(ScheduleCallback(UBA), max_steps=24, ckpt_path=saved)
    _, longer = fit(ScheduleCallback(UBA, extend=True), max_steps=24, ckpt_path=saved)
    assert longer.lrs == [pytest.approx([0.1 * u(step, 24)]) for step in range(5, 24)]


def stepped(module: Any) -> Any:
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    return optimizer_and_schedule(UBA.lr_scheduler(optimizer, module.trainer.estimated_stepping_batches))


def plain(module: Any) -> Any:
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    return [optimizer], [UBA.lr_scheduler(optimizer, STEPS)]


@pytest.mark.parametrize("accumulated", [1, 3])
def test_the_helper_steps_with_the_optimizer(accumulated: int) -> None:
    _, module = fit(module=Line(stepped), accumulate_grad_batches=accumulated)
    assert module.lrs == [pytest.approx([0.1 * u(step)]) for step in range(STEPS)]


def test_the_plain_form_steps_once_an_epoch() -> None:
    """What the helper, and the warning below, are for."""
    _, module = fit(module=Line(plain))
    assert module.lrs == [pytest.approx([0.1 * u(step // 5)]) for step in range(STEPS)]


def test_what_a_callback_cannot_schedule_is_refused() -> None:
    with pytest.raises(InputError, match="it returns a scheduler too; return the optimizer alone"):
        fit(ScheduleCallback(UBA), module=Line(stepped))
    manual = Line()
    manual.automatic_optimization = False
    with pytest.raises(InputError, match="is for one optimizer that Lightning steps"):
        fit(ScheduleCallback(UBA), module=manual)
    with pytest.raises(InputError, match="does not know its number of steps; give it max_steps"):
        fit(ScheduleCallback(UBA), max_steps=-1)
    with pytest.raises(InputError, match="plateau: it needs validation losses"):
        ScheduleCallback(schedule("plateau"))
    with pytest.raises(InputError, match="a ReduceLROnPlateau is not stepped with its optimizer"):
        optimizer_and_schedule(schedule("plateau").lr_scheduler(torch.optim.SGD(Line().parameters(), 0.1), STEPS))


@pytest.mark.parametrize("name", ["lightning.pytorch", "pytorch_lightning"])
@pytest.mark.parametrize("validating", [{}, {"val_check_interval": 1}, {"check_val_every_n_epoch": 3}])
def test_a_trial_reports_where_it_is_due(tmp_path: Path, name: str, validating: dict[str, Any]) -> None:
    search = Search()
    trial = Trial(plan(tmp_path / "trial", STEPS, UBA, base_lr=0.02, objective="val_metric"), search)
    kind = import_module(name)

    class Theirs(Regression, kind.LightningModule):  # type: ignore[misc, name-defined]
        pass

    module = Theirs()
    callback = TrialCallback(trial, metric="val_error")
    fit(callback, module=module, kind=kind.Trainer, accumulate_grad_batches=2, **validating)
    assert [point["step"] for point in search.curve] == [step for step in range(1, STEPS + 1) if trial.due(step)]
    assert module.lrs == [pytest.approx([0.02 * u(step)]) for step in range(STEPS)]
    with torch.no_grad():
        errors = torch.cat([module.line(x) - y for x, y in batches(2)])
    last = search.curve[-1]
    assert last["val_loss"] == pytest.approx(float(errors.square().mean()))
    assert last["val_metric"] == pytest.approx(float(errors.abs().mean()))
    assert last["train_loss"] > 0


def test_a_stopped_trial_stops_the_trainer(tmp_path: Path) -> None:
    search = Search(stop_after=6)
    run, module = fit(TrialCallback(Trial(plan(tmp_path / "trial", STEPS), search)))
    assert run.global_step == len(module.lrs) == search.curve[-1]["step"] == 6


def test_a_loss_that_is_not_finite_ends_the_trial(tmp_path: Path) -> None:
    search, module = Search(), Line()
    torch.nn.init.constant_(module.line.weight, float("nan"))
    run, _ = fit(TrialCallback(Trial(plan(tmp_path / "trial", STEPS), search)), module=module)
    assert run.global_step == search.diverged_at == 2


def test_a_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    a_plan = plan(tmp_path / "trial", STEPS, UBA)
    whole, died = Search(), Search()
    more = {"accumulate_grad_batches": 2, "train": 10}
    _, module = fit(TrialCallback(Trial(a_plan, whole)), **more)
    with pytest.raises(RuntimeError, match="dies"):
        fit(TrialCallback(Trial(a_plan, died)), DiesAt(7), **more)
    trial, rest = resumed(a_plan, died)
    assert trial.start == 6
    callback = TrialCallback(trial)
    _, after = fit(callback, ckpt_path=callback.checkpoint(), **more)
    assert after.lrs == module.lrs[6:]
    assert [point["step"] for point in died.curve + rest.curve] == [point["step"] for point in whole.curve]
    assert [point["lr"] for point in died.curve + rest.curve] == [point["lr"] for point in whole.curve]


def test_plateau_acts_on_the_loss_that_was_reported(tmp_path: Path) -> None:
    search = Search()
    plateau = schedule("plateau", patience=0, checks=4, factor=0.5, threshold=0.9)
    _, module = fit(TrialCallback(Trial(plan(tmp_path / "trial", STEPS, plateau), search)))
    losses = [point["val_loss"] for point in search.curve if point["step"] % 3 == 0]
    factors = plateau.u(range(STEPS), STEPS, losses)
    assert module.lrs == [pytest.approx([0.01 * factor]) for factor in factors]
    assert len(set(factors)) > 1


def test_a_trials_scheduler_that_is_stepped_once_an_epoch_is_warned_of(tmp_path: Path) -> None:
    trial = Trial(plan(tmp_path / "trial", STEPS, UBA), Search())

    def theirs(module: Any) -> Any:
        optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
        return [optimizer], [trial.lr_scheduler(optimizer)]

    with pytest.warns(UserWarning, match=r"once an epoch.*optimizer_and_schedule"), pytest.raises(InputError):
        fit(TrialCallback(trial), module=Line(theirs))


def test_a_trials_scheduler_may_be_the_modules(tmp_path: Path) -> None:
    search = Search()
    trial = Trial(plan(tmp_path / "trial", STEPS, UBA), search)

    def ours(module: Any) -> Any:
        return optimizer_and_schedule(trial.lr_scheduler(torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)))

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*once an epoch")
        _, module = fit(TrialCallback(trial), module=Line(ours))
    assert module.lrs == [pytest.approx([0.01 * u(step)]) for step in range(STEPS)]


@pytest.mark.parametrize(
    ("message", "options", "callback"),
    [
        ("makes 24 optimizer steps, the trial's budget is 12; set max_steps=trial.budget", {"max_steps": 24}, {}),
        ("validation: the trainer has none", {"limit_val_batches": 0}, {}),
        ("val_metric: the evaluation has no 'bleu'; it has train_loss, val_error, val_loss", {}, {"metric": "bleu"}),
    ],
)
def test_what_a_trial_needs_is_said(tmp_path: Path, message: str, options: Any, callback: Any) -> None:
    with pytest.raises(InputError, match=message):
        fit(TrialCallback(Trial(plan(tmp_path / "trial", STEPS), Search()), **callback), **options)


def test_a_resumed_trial_needs_its_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"starts at step 0, the trial at 5; pass ckpt_path=callback.checkpoint\(\)"):
        fit(TrialCallback(Trial(plan(tmp_path / "trial", STEPS, start=5), Search())))


def train_in_process(trial: Trial, folder: Path) -> None:
    module = Line()
    more = {"strategy": "ddp", "devices": 2}
    run, _ = fit(TrialCallback(trial), module=module, accumulate_grad_batches=2, **more)
    assert run.world_size == 2
    assert module.lrs == [pytest.approx([0.01 * u(step)]) for step in range(run.global_step)]
    torch.save((run.global_step, module.line.weight), folder / f"{run.global_rank}.pt")


@pytest.mark.slow
def test_two_processes_step_the_schedule_once_and_stop_together(tmp_path: Path) -> None:
    search = Search(stop_after=8)
    spawn(Trial(plan(tmp_path / "trial", STEPS, UBA), search), train_in_process, tmp_path, processes=2)
    steps, weights = zip(*(torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in (0, 1)), strict=True)
    assert steps == (8, 8)
    torch.testing.assert_close(*weights)
    assert [point["step"] for point in search.curve] == [2, 3, 4, 6, 8]
