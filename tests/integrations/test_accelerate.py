"""The torch scheduler in loops of accelerate, which accumulate batches in two processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from phitune.trainables.schedules import schedule
from phitune.trainables.training.function import Trial, spawn
from tests.integrations.trials import Search, plan
from tests.system.harness.requirements import require_packages

require_packages("accelerate", extra="transformers")

from accelerate import Accelerator  # noqa: E402

STEPS = 12
ACCUMULATED = 3
UBA = schedule("uba", phi=2.0)


def train(trial: Trial, folder: Path) -> None:
    torch.save({how: lrs(how) for how in ("not prepared", "apart", "longer horizon")}, folder / os.environ["RANK"])


def lrs(how: str) -> list[float]:
    """The LR of each optimizer step of a loop that steps its scheduler as docs/how-to/train/accelerate.md says."""
    own_steps = {"step_scheduler_with_optimizer": False} if how == "apart" else {}
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=ACCUMULATED, **own_steps)
    assert accelerator.num_processes == 2
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    horizon = STEPS * accelerator.num_processes if how == "longer horizon" else STEPS
    scheduler = UBA.lr_scheduler(optimizer, horizon)
    model, optimizer = accelerator.prepare(model, optimizer)
    if how != "not prepared":
        scheduler = accelerator.prepare(scheduler)
    seen = []
    for _ in range(STEPS * ACCUMULATED):
        with accelerator.accumulate(model):
            accelerator.backward(model(torch.randn(8, 4)).square().mean())
            if accelerator.sync_gradients:
                seen.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            optimizer.zero_grad()
            if how == "longer horizon" or accelerator.sync_gradients:
                scheduler.step()
    return seen


@pytest.mark.full
def test_the_schedule_is_that_of_optimizer_steps(tmp_path: Path) -> None:
    spawn(Trial(plan(tmp_path / "trial", STEPS), Search()), train, tmp_path, processes=2)
    for rank in ("0", "1"):
        for how, seen in torch.load(tmp_path / rank).items():
            assert seen == pytest.approx([0.01 * float(UBA.u(step, STEPS)) for step in range(STEPS)]), how
