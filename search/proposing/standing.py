"""How a cell stands by the belief: for a person who watches the search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phitune.analysis.surrogate.policy import CellPolicy, Proposal
from phitune.analysis.surrogate.space import Configurations
from phitune.search.proposing.space import parameters_at
from phitune.search.study.cell import Cell


@dataclass(frozen=True)
class Standing:
    """What the belief said of a cell when it last proposed a trial.

    Attributes:
        family: Label of the family that is best by expectation.
        parameters: Its searched parameters at their best.
        base_lr: The base LR that goes with them.
        phi: φ* of the first family that searches φ; None where none does.
        phi_of: Label of that family.
        gain: By how much one more trial was expected to lower the objective: a share of it (of the error, for an
            accuracy) if `relative`, else in its own units. None before a trial of the cell has been completed.
        relative: See `gain`.
    """

    family: str
    parameters: Mapping[str, float]
    base_lr: float
    phi: float | None
    phi_of: str
    gain: float | None
    relative: bool

    @classmethod
    def of(cls, cell: Cell, index: int, policy: CellPolicy, proposal: Proposal) -> Standing:
        """Read off what the proposal computed.

        Args:
            cell: The cell.
            index: The cell's among the evidence's cells.
            policy: That made the proposal.
            proposal: A valued one.
        """
        assert proposal.best is not None, "a valued proposal has it"
        best, phi, phi_of = proposal.best, None, ""
        for number, space in enumerate(cell.families):
            if "phi" in space.searched:
                at = best if best.family[0] == number else policy.best_on_grid(number)
                phi, phi_of = _parameters(cell, at)["phi"], space.label
                break
        scale = policy.evidence.scales[index]
        gain = float(-np.expm1(-proposal.fall)) if scale.relative else proposal.fall * abs(scale.unit)
        known = np.isfinite(policy.evidence.best[index])
        return cls(
            family=cell.families[best.family[0]].label,
            parameters=_parameters(cell, best),
            base_lr=float(np.exp(best.log_lr[0])),
            phi=phi,
            phi_of=phi_of,
            gain=gain if known else None,
            relative=scale.relative,
        )


def _parameters(cell: Cell, at: Configurations) -> dict[str, float]:
    """The searched parameters of one configuration."""
    return parameters_at(cell.families[at.family[0]], at.unit[0])
