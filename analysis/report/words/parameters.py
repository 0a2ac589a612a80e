"""Searched parameters and their best values as people read them."""

from collections.abc import Iterable

from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.answers.shape_guideline import ShapeGuideline
from phitune.analysis.guidelines.cell_guideline import CellGuideline


def optimum(family: str, parameter: str) -> str:
    """The best value of a family's parameter: φ* of UBA, else such as "wsd's best cooldown", "uba's best floor"."""
    return "φ*" if (family, parameter) == ("uba", "phi") else f"{family}'s best {symbol(parameter)}"


def usual_text(parameter: str, usual: tuple[str, float]) -> str:
    """A value that is chosen without a search, such as "φ = 2 (cosine)"."""
    name, value = usual
    return f"{symbol(parameter)} = {value:g} ({name})"


def symbols(cells: Iterable[CellGuideline]) -> list[str]:
    """The parameters that cells speak of, each once; φ where none was searched."""
    return list(dict.fromkeys(symbol(c.shape.parameter) for c in cells if c.shape is not None)) or ["φ"]


def mixed_text(families: Iterable[str]) -> str:
    """Why there is no best value of families' parameters."""
    return (
        f"no best value of the parameters of {' and '.join(families)} is told: more than two vary among the trials, or "
        "not the same ones in all of them"
    )


def shapes_told(cells: Iterable[CellGuideline], family: str | None) -> list[list[tuple[CellGuideline, ShapeGuideline]]]:
    """What a workload's cells say of the family whose parameters they are spoken of by.

    Args:
        cells: The cells.
        family: The family that most of them recommend.

    Returns:
        Of each parameter, the cells in which it was searched and what they say; of that family if any of its was
        searched, else of UBA, else of any.
    """
    cells = list(cells)
    known = [shape.family for c in cells for shape in c.shapes]
    chosen = next((each for each in (family, "uba", *known) if each in known), None)
    shapes = [(c, shape) for c in cells for shape in c.all_of(chosen)]
    parameters = dict.fromkeys(shape.parameter for _, shape in shapes)
    return [[(c, shape) for c, shape in shapes if shape.parameter == each] for each in parameters]
