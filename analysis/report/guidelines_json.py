"""guidelines.json: the conclusions as strict JSON, with the reasons in plain words."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from phitune.analysis.answers.shape_guideline import to_keys
from phitune.analysis.guidelines import Guidelines
from phitune.analysis.report.words.refusals import comparisons_dict
from phitune.analysis.report.words.summary import summary
from phitune.analysis.report.words.verdicts import family_reason, slope_reason

FORMAT = 1


def guidelines_json(guidelines: Guidelines) -> str:
    """The guidelines as strict JSON: no NaN, no infinity (null stands for them)."""
    values = {
        "format": FORMAT,
        "cells": [{**asdict(c), **to_keys(c.shapes), "family_reason": family_reason(c)} for c in guidelines.cells],
        "models": [{**m.to_dict(), "reason": slope_reason(m)} for m in guidelines.models],
        "validation": {name: _validation(each) for name, each in guidelines.validation.items()},
        "curvature": guidelines.curvature,
        "comparisons": comparisons_dict(guidelines.comparisons),
        "provenance": guidelines.provenance,
        "summary": summary(guidelines),
    }
    return json.dumps(_strict(values), indent=1, allow_nan=False, ensure_ascii=False)


def _validation(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {**summary} if summary["n"] else {"note": "not enough cells", **summary}


def _strict(value: Any) -> Any:
    """The value with NaN and infinities as None and NumPy scalars as Python's."""
    if isinstance(value, Mapping):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
