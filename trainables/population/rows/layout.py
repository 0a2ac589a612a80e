"""A model's parameters as one row of a matrix, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Layout:
    """Where each trainable parameter lies in a row.

    Args:
        model: The model; parameters that two modules share are there once.

    Attributes:
        names: The parameters' names, in the model's order.
        width: Numbers in a row.
    """

    def __init__(self, model: nn.Module) -> None:
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.names = list(parameters)
        self._shapes = [p.shape for p in parameters.values()]
        self._sizes = [p.numel() for p in parameters.values()]
        self.width = sum(self._sizes)

    def split(self, rows: Tensor) -> dict[str, Tensor]:
        """The parameters by name, views [rows, *shape], of rows [rows, width]."""
        # One node of autograd, whose gradient is one concatenation; of slices each would be a matrix of zeros.
        parts = torch.split(rows, self._sizes, dim=1)
        return {
            name: part.view(len(rows), *shape)
            for name, part, shape in zip(self.names, parts, self._shapes, strict=True)
        }

    def one(self, row: Tensor) -> dict[str, Tensor]:
        """The parameters by name, views, of one row [width]."""
        return {name: part[0] for name, part in self.split(row[None]).items()}

    def row(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """A row [width] from parameters by name."""
        return torch.cat([parameters[name].detach().flatten() for name in self.names])

    def spread(self, values: Mapping[str, float]) -> Tensor:
        """A row [width] with a parameter's value at each of its numbers."""
        return torch.cat(
            [
                torch.full((size,), values[name], dtype=torch.float64)
                for name, size in zip(self.names, self._sizes, strict=True)
            ]
        )
