"""The base class of exact workloads, and the learner that they share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Diagnosis, Evaluation, Learner, Norms, Split, Workload, average_weight
from phitune.trainables.workloads.exact.problem import Problem


class ExactWorkload(Workload):
    """SGD on a `Problem`, perhaps with momentum; `val_loss` is the exact expected loss, the metric the same number.

    Attributes:
        name: The workload's name in messages.
        problem: Curvature, start and noise.
        momentum: Heavy-ball momentum in [0, 1), as in torch's SGD: ``m ← μm + g``, ``w ← w − ηm``.
    """

    name: str
    full_budget = 3200
    metric_name = "expected loss"
    metric_mode = "min"
    base_lr: Mapping[str, tuple[float, float]] = {"sgd": (0.005, 2.0)}
    deterministic = True

    def __init__(self, problem: Problem, momentum: float) -> None:
        self.require("momentum", momentum, 0, 1, "a number in [0, 1)")
        self.problem = problem
        self.momentum = momentum

    def learner(self, optimizer: Spec, seed: int, horizon: int, device: str = "cpu") -> Learner:
        return MomentsLearner(self)

    @classmethod
    def require(cls, name: str, value: object, low: float, below: float, allowed: str, whole: bool = False) -> None:
        """Checks a parameter's value.

        Raises:
            InputError: It is no number, or not in [low, below).
        """
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value < below:
            raise InputError(f"workloads.{cls.name}.{name}: {value!r} is not allowed; it must be {allowed}")


class MomentsLearner(Learner):
    """Second moments of weight w, momentum buffer m and averaged weight a, one column a coordinate.

    ``moments`` is [6, d]: E[ww], E[wm], E[mm], E[wa], E[ma], E[aa]. All updates are linear in them.
    """

    def __init__(self, workload: ExactWorkload) -> None:
        self._problem, self._momentum = workload.problem, workload.momentum
        self._moments: NDArray[np.float64] = np.zeros((6, self._problem.curvature.size))
        self._moments[0] = self._moments[3] = self._moments[5] = self._problem.start
        self._steps = 0

    def step(self, lr: float, momentum: float | None = None) -> float:
        h = self._problem.curvature
        # Plain SGD stays plain under a schedule that cycles momentum.
        mu = momentum if momentum is not None and self._momentum else self._momentum
        ww, wm, mm, wa, ma, aa = self._moments
        s = self._problem.noise_at(ww)
        loss = float(0.5 * (h @ ww))
        # m' = μm + hw + ξ,  w' = w − η m',  a' = (1−β) a + β w'
        new_mm = mu * mu * mm + 2.0 * mu * h * wm + h * h * ww + s
        new_wm = mu * wm + h * ww - lr * new_mm
        decay = 1.0 - lr * h
        new_ww = decay * decay * ww + lr * lr * s
        if mu:
            new_ww += lr * mu * (lr * mu * mm - 2.0 * decay * wm)
        ma = mu * ma + h * wa
        wa = wa - lr * ma
        self._steps += 1
        beta = average_weight(self._steps)
        keep = 1.0 - beta
        aa = keep * keep * aa + 2.0 * keep * beta * wa + beta * beta * new_ww
        self._moments = np.stack([new_ww, new_wm, new_mm, keep * wa + beta * new_ww, keep * ma + beta * new_wm, aa])
        return loss

    def evaluate(self, split: Split, averaged: bool = False) -> Evaluation:
        loss = float(0.5 * (self._problem.curvature @ self._moments[5 if averaged else 0]))
        return Evaluation(loss, loss)

    def norms(self) -> Norms:
        h = self._problem.curvature
        gradient = float(h @ (h * self._moments[0]))
        return Norms(math.sqrt(gradient), math.sqrt(float(self._moments[0].sum())))

    def diagnose(self, diagnosis: Diagnosis) -> dict[str, float]:
        h = self._problem.curvature
        measured: dict[str, float] = {}
        if diagnosis.gradient:
            measured |= {"full_train_loss": self.evaluate("train").loss, "full_grad_norm": self.norms().grad}
        if diagnosis.hessian:
            measured |= {"hessian_max": float(h.max()), "hessian_min": float(h.min())}
        return measured

    def state_dict(self) -> dict[str, Any]:
        return {"moments": self._moments.copy(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._moments = state["moments"].copy()
        self._steps = state["steps"]
