"""BoTorch's noisy expected improvement, as its documentation has it for noisy, parallel evaluations."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim.optimize import optimize_acqf_mixed
from gpytorch.mlls import ExactMarginalLogLikelihood
from scipy.stats import qmc

from benchmarks.quality.curves import Configuration
from benchmarks.quality.peers.peer import Peer
from benchmarks.quality.simulation import Proposal
from phitune.search.study.cell import Cell


class Botorch(Peer):
    """`qLogNoisyExpectedImprovement` on a `SingleTaskGP`, after a few Sobol points; every trial to its end.

    A point is log φ and log base LR in [0, 1], φ in the middle where a family has none, and the family one-hot. Losses
    are logs; that of a diverged trial is the loss before training.
    """

    _START = 8

    def __init__(self, cell: Cell, seed: int, cap: float) -> None:
        super().__init__()
        self._cell = cell
        self._cap = cap
        self._seed = seed
        self._sobol = qmc.Sobol(3, scramble=True, rng=seed)
        self._running: dict[str, list[float]] = {}
        self._ended: list[tuple[list[float], float]] = []
        self._count = 0

    def propose(self) -> Proposal | None:
        self._count += 1
        point = self._started() if self._count <= self._START or len(self._ended) < 2 else self._optimised()
        self._running[str(self._count)] = point
        return Proposal(str(self._count), *self._configuration(point))

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        super().ended(proposal, point, loss, status)
        self._ended.append((self._running.pop(proposal.key), self._cap if status == "diverged" else loss))

    def _started(self) -> list[float]:
        phi, lr, share = self._sobol.random(1)[0].tolist()
        fixed = self._families()[int(share * len(self._cell.families))]
        return [fixed.get(column, (phi, lr)[min(column, 1)]) for column in range(2 + len(self._cell.families))]

    def _families(self) -> list[dict[int, float]]:
        """The fixed columns of each family's points."""
        count = len(self._cell.families)
        return [
            {2 + j: float(i == j) for j in range(count)} | ({} if space.searched else {0: 0.5})
            for i, space in enumerate(self._cell.families)
        ]

    def _optimised(self) -> list[float]:
        torch.manual_seed(1000 * self._seed + self._count)
        inputs = torch.tensor([point for point, _ in self._ended], dtype=torch.double)
        values = -torch.tensor([[loss] for _, loss in self._ended], dtype=torch.double)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = SingleTaskGP(inputs, values, outcome_transform=Standardize(1))
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            acquisition = qLogNoisyExpectedImprovement(
                model,
                X_baseline=inputs,
                X_pending=torch.tensor(list(self._running.values()), dtype=torch.double) if self._running else None,
                prune_baseline=True,
            )
            best, _ = optimize_acqf_mixed(
                acquisition,
                bounds=torch.tensor([[0.0], [1.0]], dtype=torch.double).expand(2, inputs.shape[1]),
                q=1,
                num_restarts=4,
                raw_samples=64,
                fixed_features_list=self._families(),
            )
        point: list[float] = best[0].tolist()
        return point

    def _configuration(self, point: list[float]) -> Configuration:
        space = self._cell.families[int(np.argmax(point[2:]))]
        phi = math.nan
        if space.searched:
            phi = math.exp(np.interp(point[0], [0, 1], np.log([space.searched["phi"].low, space.searched["phi"].high])))
        return space.label, phi, math.exp(np.interp(point[1], [0, 1], np.log(self._cell.base_lr)))
