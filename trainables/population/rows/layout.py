"""Conversion between a model's parameters and one row of a matrix."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Layout:
    """Position of each trainable parameter in a row.

    Args:
        model: The model; a parameter that two modules share occurs once.

    Attributes:
        names: The parameters' names, in the model's order.
        width: Elements of a row.
    """

    def __init__(self, model: nn.Module) -> None:
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.names = list(parameters)
        self._shapes = [p.shape for p in parameters.values()]
        self._sizes = [p.numel() for p in parameters.values()]
        self.width = sum(self._sizes)

    def split(self, rows: Tensor) -> dict[str, Tensor]:
        """The parameters by name, views [rows, *shape], of rows [rows, width]."""
        # One autograd node, whose gradient is one concatenation; each slice would have a gradient of a whole matrix.
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
        """A row [width] with each parameter's value repeated over its elements."""
        return torch.cat(
            [
                torch.full((size,), values[name], dtype=torch.float64)
                for name, size in zip(self.names, self._sizes, strict=True)
            ]
        )
