"""The code that the report's cards offer for trainers, run as it is copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from phitune.analysis.report.cards.code import snippets
from phitune.trainables.schedules import from_dict
from tests.system.harness.requirements import require_packages

pytestmark = pytest.mark.full

STEPS, BASE_LR = 6, 0.1
UBA = {"family": "uba", "phi": 1.5}
CODE = snippets(UBA, "sgd", BASE_LR, STEPS)
EXPECTED = [BASE_LR * float(from_dict(UBA).u(step, STEPS)) for step in range(STEPS)]
INPUTS = torch.randn(48, 4, generator=torch.Generator().manual_seed(0))


class Seen(torch.optim.SGD):
    """Keeps the LR of each of its steps."""

    lrs: list[float]

    def step(self, closure: Any = None) -> Any:
        self.__dict__.setdefault("lrs", []).append(float(self.param_groups[0]["lr"]))
        return super().step(closure)


def test_transformers_trains_with_the_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_packages("transformers", "accelerate", extra="transformers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.optim, "SGD", Seen)

    class Line(torch.nn.Linear):
        def forward(self, x: Any, labels: Any) -> Any:  # type: ignore[override]
            return {"loss": (super().forward(x) - labels).square().mean()}

    data = [{"x": row, "labels": row.sum().reshape(1)} for row in INPUTS]
    names: dict[str, Any] = {"model": Line(4, 1), "data": data}
    exec(CODE["Transformers"], names)
    assert names["optimizer"].lrs == pytest.approx(EXPECTED)


def test_lightning_trains_with_the_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_packages("lightning", extra="lightning")
    from lightning.pytorch import LightningModule

    monkeypatch.chdir(tmp_path)

    class Module(LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return (self.line(batch) - batch.sum(1, keepdim=True)).square().mean()

        def configure_optimizers(self) -> Any:
            self.optimizer = Seen(self.parameters(), lr=1.0)
            return self.optimizer

    module = Module()
    names: dict[str, Any] = {"module": module, "batches": torch.utils.data.DataLoader(INPUTS, batch_size=8)}
    exec(CODE["Lightning"], names)
    assert module.optimizer.lrs == pytest.approx(EXPECTED)
