"""The callbacks in the Trainer of Hugging Face's transformers, with a small BERT made from a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import schedule
from phitune.trainables.training.function import Trial, spawn
from tests.integrations.trials import Search, plan, resumed
from tests.system.harness.requirements import require_packages

require_packages("transformers", "accelerate", extra="transformers")

from transformers import (  # noqa: E402
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from phitune.integrations.transformers import ScheduleCallback, TrialCallback  # noqa: E402

STEPS = 12
UBA = schedule("uba", phi=2.0, warmup=2)
SIZE = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    tokens = torch.randint(0, 20, (count, 4), generator=torch.Generator().manual_seed(seed))
    return [{"input_ids": row, "labels": int(row[0] > 9)} for row in tokens]


class Seen(TrainerCallback):  # type: ignore[misc]
    """What the optimizer has at each of its steps."""

    def __init__(self) -> None:
        self.lrs: list[list[float]] = []
        self.betas: list[float] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any) -> None:
        self.lrs.append([group["lr"] for group in optimizer.param_groups])
        self.betas.append(optimizer.param_groups[0]["betas"][0])


class DiesAt(TrainerCallback):  # type: ignore[misc]
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def trainer(folder: Path, *callbacks: Any, optimizers: Any = (None, None), **more: Any) -> Any:
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(vocab_size=20, **SIZE))
    kept = {"eval_dataset": rows(8, 1), "compute_metrics": None}
    kept |= {key: more.pop(key) for key in list(kept) if key in more}
    settings = {"max_steps": STEPS, "learning_rate": 0.01, "logging_steps": 1, "save_strategy": "no", **more}
    arguments = TrainingArguments(folder, per_device_train_batch_size=4, use_cpu=True, disable_tqdm=True, **settings)
    return Trainer(
        model, arguments, train_dataset=rows(32, 0), callbacks=list(callbacks), optimizers=optimizers, **kept
    )


def u(step: int, horizon: int = STEPS) -> float:
    return float(UBA.u(step, horizon))


def logged(of: Any, key: str) -> dict[int, float]:
    return {entry["step"]: entry[key] for entry in of.state.log_history if key in entry}


@pytest.mark.parametrize("accumulated", [1, 3])
@pytest.mark.parametrize("theirs", [{}, {"lr_scheduler_type": "cosine", "warmup_steps": 5}])
def test_the_schedule_is_that_of_optimizer_steps(tmp_path: Path, accumulated: int, theirs: dict[str, Any]) -> None:
    seen = Seen()
    run = trainer(tmp_path, ScheduleCallback(UBA), seen, gradient_accumulation_steps=accumulated, **theirs)
    run.train()
    assert [lrs[0] for lrs in seen.lrs] == pytest.approx([0.01 * u(step) for step in range(STEPS)])
    assert logged(run, "learning_rate") == pytest.approx({step + 1: 0.01 * u(step) for step in range(STEPS)})


def test_epochs_are_counted_in_optimizer_steps(tmp_path: Path) -> None:
    seen = Seen()
    run = trainer(
        tmp_path, ScheduleCallback(UBA), seen, max_steps=-1, num_train_epochs=2, gradient_accumulation_steps=3
    )
    run.train()
    steps = 2 * 3  # 8 batches an epoch, by threes
    assert [lrs[0] for lrs in seen.lrs] == pytest.approx([0.01 * u(step, steps) for step in range(steps)])


def test_groups_keep_their_ratios_below_the_base_lr(tmp_path: Path) -> None:
    seen = Seen()
    run = trainer(tmp_path, ScheduleCallback(UBA, base_lr=0.2), seen)
    parameters = list(run.model.parameters())
    groups = [{"params": parameters[:1], "lr": 0.01}, {"params": parameters[1:], "lr": 0.04}]
    run.optimizer = torch.optim.AdamW(groups)
    run.train()
    assert seen.lrs == [pytest.approx([0.05 * u(step), 0.2 * u(step)]) for step in range(STEPS)]


def test_momentum_is_cycled_too(tmp_path: Path) -> None:
    seen = Seen()
    onecycle = schedule("onecycle")
    trainer(tmp_path, ScheduleCallback(onecycle), seen).train()
    assert seen.betas == [onecycle.momentum(step, STEPS) for step in range(STEPS)]


def test_a_resumed_trainer_goes_on_exactly(tmp_path: Path) -> None:
    options = {"gradient_accumulation_steps": 3, "save_strategy": "steps", "save_steps": 5}
    whole = trainer(tmp_path, ScheduleCallback(UBA, base_lr=0.03), **options)
    whole.train()
    seen = Seen()
    rest = trainer(tmp_path / "rest", ScheduleCallback(UBA, base_lr=0.03), seen, **options)
    rest.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert [lrs[0] for lrs in seen.lrs] == pytest.approx([0.03 * u(step) for step in range(5, STEPS)])
    for key in ("loss", "learning_rate"):
        assert logged(rest, key) == logged(whole, key)


def test_a_checkpoint_of_another_horizon_is_refused_unless_extended(tmp_path: Path) -> None:
    saving = {"save_strategy": "steps", "save_steps": 5}
    trainer(tmp_path, ScheduleCallback(UBA), **saving).train()
    checkpoint = str(tmp_path / "checkpoint-5")
    with pytest.raises(InputError, match=r"a run of 12 steps, this one has 24.*max_steps=12, or extend=True.*5 of 24"):
        trainer(tmp_path / "longer", ScheduleCallback(UBA), max_steps=24).train(resume_from_checkpoint=checkpoint)
    seen = Seen()
    longer = trainer(tmp_path / "longer", ScheduleCallback(UBA, extend=True), seen, max_steps=24)
    longer.train(resume_from_checkpoint=checkpoint)
    assert [lrs[0] for lrs in seen.lrs] == pytest.approx([0.01 * u(step, 24) for step in range(5, 24)])


def test_what_cannot_follow_a_schedule_is_refused(tmp_path: Path) -> None:
    theirs = {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "epoch"}
    with pytest.raises(InputError, match="lr_scheduler_type: the Trainer has a ReduceLROnPlateau"):
        trainer(tmp_path, ScheduleCallback(UBA), **theirs).train()
    with pytest.raises(InputError, match="plateau: it needs validation losses"):
        ScheduleCallback(schedule("plateau"))


@pytest.mark.parametrize("evaluating", ["no", "steps", "epoch"])
def test_a_trial_reports_where_it_is_due(tmp_path: Path, evaluating: str) -> None:
    search = Search()
    trial = Trial(plan(tmp_path / "trial", STEPS, UBA, base_lr=0.02, objective="val_metric"), search)
    callback = TrialCallback(trial, metric="eval_right")
    more = {"eval_strategy": evaluating, "eval_on_start": evaluating != "no", "gradient_accumulation_steps": 2}
    run = trainer(
        tmp_path, callback, compute_metrics=right, **(more | {"eval_steps": 1} if evaluating == "steps" else more)
    )
    run.train()
    assert [point["step"] for point in search.curve] == [step for step in range(1, STEPS + 1) if trial.due(step)]
    losses, metrics, trained = (logged(run, key) for key in ("eval_loss", "eval_right", "loss"))
    for point in search.curve:
        step = point["step"]
        assert point["lr"] == pytest.approx(logged(run, "learning_rate")[step]) == pytest.approx(0.02 * u(step - 1))
        assert (point["val_loss"], point["val_metric"]) == (losses[step], metrics[step])
        assert point["eval_runtime"] > 0
    # The log of a step comes before its evaluation.
    assert search.curve[-1]["train_loss"] == trained[STEPS]


def right(result: Any) -> dict[str, float]:
    return {"right": float((result.predictions.argmax(-1) == result.label_ids).mean())}


def test_a_stopped_trial_stops_the_trainer(tmp_path: Path) -> None:
    search = Search(stop_after=6)
    callback = TrialCallback(Trial(plan(tmp_path / "trial", STEPS), search))
    run = trainer(tmp_path, callback, eval_strategy="epoch", save_strategy="epoch")
    run.train()
    assert run.state.global_step == search.curve[-1]["step"] == 6


def test_a_loss_that_is_not_finite_ends_the_trial(tmp_path: Path) -> None:
    search = Search()
    run = trainer(tmp_path, TrialCallback(Trial(plan(tmp_path / "trial", STEPS), search)))
    with torch.no_grad():
        next(run.model.parameters()).fill_(float("nan"))
    run.train()
    assert run.state.global_step == search.diverged_at == 2


def test_a_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    a_plan = plan(tmp_path / "trial", STEPS, UBA)
    options = {"save_strategy": "steps", "save_steps": 5, "gradient_accumulation_steps": 3}
    whole, died = Search(), Search()
    trainer(tmp_path / "whole", TrialCallback(Trial(a_plan, whole)), **options).train()
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "died", TrialCallback(Trial(a_plan, died)), DiesAt(8), **options).train()
    assert died.saved is not None and died.saved[0] == 5
    for path in (tmp_path / "died").rglob("*"):
        path.unlink() if path.is_file() else None
    trial, rest = resumed(a_plan, died)
    callback = TrialCallback(trial)
    trainer(tmp_path / "rest", callback, **options).train(resume_from_checkpoint=callback.checkpoint())
    before = [point for point in died.curve if point["step"] <= 5]
    assert [_exact(point) for point in before + rest.curve] == [_exact(point) for point in whole.curve]


def _exact(point: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in point.items() if key in ("step", "lr", "val_loss", "train_loss")}


def test_plateau_acts_on_the_loss_that_was_reported(tmp_path: Path) -> None:
    search, seen = Search(), Seen()
    plateau = schedule("plateau", patience=0, checks=4, factor=0.5, threshold=0.9)
    trainer(tmp_path, TrialCallback(Trial(plan(tmp_path / "trial", STEPS, plateau), search)), seen).train()
    losses = [point["val_loss"] for point in search.curve if point["step"] % 3 == 0]
    assert [lrs[0] for lrs in seen.lrs] == pytest.approx(0.01 * plateau.u(range(STEPS), STEPS, losses))
    assert seen.lrs[-1][0] == pytest.approx(0.01 / 4)


TWO_SETS = {"eval_dataset": {"a": rows(8, 1), "b": rows(8, 2)}}


@pytest.mark.parametrize(
    ("message", "options", "callback"),
    [
        ("makes 24 optimizer steps, the trial's budget is 12; set max_steps=trial.budget", {"max_steps": 24}, {}),
        ("eval_bleu: not in the evaluation at step 2, which has epoch, eval_loss", {}, {"metric": "eval_bleu"}),
        (
            "eval_loss: not in .* at step 2, which has .* eval_a_loss,.* eval_b_loss,",
            {"eval_dataset": {"a": rows(8, 1), "b": rows(8, 2)}},
            {},
        ),
    ],
)
def test_what_a_trial_needs_is_said(tmp_path: Path, message: str, options: Any, callback: Any) -> None:
    trial = Trial(plan(tmp_path / "trial", STEPS), Search())
    with pytest.raises(InputError, match=message):
        trainer(tmp_path, TrialCallback(trial, **callback), **options).train()


def test_a_resumed_trial_needs_its_checkpoint(tmp_path: Path) -> None:
    trial = Trial(plan(tmp_path / "trial", STEPS, start=5), Search())
    with pytest.raises(InputError, match=r"starts at step 0, the trial at 5; pass resume_from_checkpoint="):
        trainer(tmp_path, TrialCallback(trial)).train()


def test_one_of_several_evaluation_sets_counts(tmp_path: Path) -> None:
    search = Search()
    callback = TrialCallback(Trial(plan(tmp_path / "trial", STEPS), search), loss="eval_b_loss")
    run = trainer(tmp_path, callback, eval_dataset={"a": rows(8, 1), "b": rows(8, 2), "c": rows(8, 3)})
    run.train()
    for point in search.curve:
        assert point["val_loss"] == logged(run, "eval_b_loss")[point["step"]]
        assert point["eval_a_loss"] == logged(run, "eval_a_loss")[point["step"]]


def train_in_process(trial: Trial, folder: Path) -> None:
    seen = Seen()
    run = trainer(folder, TrialCallback(trial), seen, gradient_accumulation_steps=2, ddp_backend="gloo")
    assert run.args.world_size == 2
    run.train()
    assert [lrs[0] for lrs in seen.lrs] == pytest.approx([0.01 * u(step) for step in range(run.state.global_step)])
    torch.save((run.state.global_step, next(run.model.parameters())), folder / f"{run.args.process_index}.pt")


@pytest.mark.full
def test_two_processes_step_the_schedule_once_and_stop_together(tmp_path: Path) -> None:
    search = Search(stop_after=8)
    spawn(Trial(plan(tmp_path / "trial", STEPS, UBA), search), train_in_process, tmp_path, processes=2)
    steps, weights = zip(*(torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in (0, 1)), strict=True)
    assert steps == (8, 8)
    torch.testing.assert_close(*weights)
    assert [point["step"] for point in search.curve] == [2, 3, 4, 6, 8]
