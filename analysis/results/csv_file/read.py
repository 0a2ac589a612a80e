"""A user's results from a CSV, checked line by line, as the results table."""

import csv
import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phitune.analysis.results.csv_file.text import CsvText
from phitune.analysis.results.table import CELL, MODES, PHASES, STATUSES, require_completed, rung_columns, tidy
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Schedule, families, family, from_dict, schedule
from phitune.trainables.spec import Spec

REQUIRED = (*CELL, "family", "base_lr", "objective")
METRICS = (
    *("val_loss", "val_metric", "ema_val_loss", "ema_val_metric", "test_loss", "test_metric"),
    *("hessian_max", "hessian_min", "seconds"),
)
OPTIONAL = (
    *("phi", "schedule", "seed", "status", "phase", "finalist", "trial_id", "mode", "objective_name"),
    *("metric_name", "metric_mode", "deterministic", "full_budget", "steps", *METRICS),
)
_SAME_TRIAL = [*CELL, "family", "schedule", "base_lr", "seed", "phase"]
_SAME_CONFIGURATION = [*CELL, "family", "schedule", "base_lr"]


def read_csv(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The results table of a CSV, and what was left out.

    Columns that must be there: `workload optimizer budget family base_lr objective`. Optional, with their defaults:
    `phi` (uba needs it), `schedule` (JSON with the family's parameters; the family with its phi; where it names its
    `family`, the column of that name is a label, as in a study file), `seed` (0),
    `status` (completed; else stopped, diverged or failed), `phase` (the lowest seed of a configuration is its explore
    trial, the others its replicates), `finalist` (the explore trial of the same configuration), `trial_id` (the
    line), `mode` (min; or max), `objective_name` (objective), `metric_name metric_mode`, `deterministic` (false),
    `full_budget`, `steps` (the budget if completed), `val_loss val_metric ema_val_loss ema_val_metric test_loss
    test_metric hessian_max hessian_min seconds` and `rung_1 rung_2 ...`. Other columns are not used. A line that
    repeats another is left out.

    Args:
        path: A comma-separated file in UTF-8 with a header.

    Returns:
        The table in the types of `COLUMNS`, with the file's stem as `study`; and a sentence for each omission.

    Raises:
        InputError: A column is missing, a value is not allowed, or two lines contradict each other.
    """
    text = _read(path)
    notes = []
    rungs = rung_columns(text.columns)
    unused = [c for c in text.columns if c not in (*REQUIRED, *OPTIONAL) and c not in rungs]
    if unused:
        notes.append(f"{path.name}: columns not used: {', '.join(unused)}")
    out = _typed(text)
    repeated = out.duplicated([*_SAME_TRIAL, "status", "objective"])
    if repeated.any():
        notes.append(f"{path.name}: {int(repeated.sum())} lines repeat another and are left out")
    out = _with_finalists(out[~repeated], text)
    twice = out[out.duplicated(_SAME_TRIAL, keep=False)]
    if len(twice):
        same = twice[(twice[_SAME_TRIAL] == twice.iloc[0][_SAME_TRIAL]).all(axis=1)]
        raise InputError(
            f"{path}: lines {same.index[0]} and {same.index[1]} are the same trial with different results; "
            "tell repeats apart by their seed"
        )
    for line in out.index[out["trial_id"].duplicated()][:1]:
        raise text.error(line, "trial_id", "stands there twice", "each line its own")
    table = tidy(out.assign(study=path.stem)).reset_index(drop=True)
    require_completed(table, repr(str(path)))
    return table, notes


def _read(path: Path) -> CsvText:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            header = [name.strip() for name in next(reader, [])]
            numbered = [(reader.line_num, [value.strip() for value in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"STUDY: {str(path)!r} cannot be read as CSV in UTF-8 ({error})") from None
    lines = {line: row for line, row in numbered if any(row)}
    for name in REQUIRED:
        if name not in header:
            near = get_close_matches(name, header, n=1, cutoff=0.5)
            hint = f" (is it {near[0]!r}?)" if near else ""
            raise InputError(f"{path}: the column {name!r} is missing{hint}; required: {', '.join(REQUIRED)}")
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"{path}: the column {name!r} stands there twice")
    for line, row in lines.items():
        if len(row) != len(header):
            raise InputError(f"{path}: line {line} has {len(row)} values; the header has {len(header)}")
    if not lines:
        raise InputError(f"STUDY: {str(path)!r} has no finished trial yet: it has no lines below its header")
    return CsvText(path, pd.DataFrame.from_dict(lines, orient="index", columns=header, dtype=object))


def _typed(text: CsvText) -> pd.DataFrame:
    out = pd.DataFrame(index=text.index)
    out["workload"] = text.canonical("workload", lambda label: Spec.parse(label, "workload").label)
    out["optimizer"] = text.canonical("optimizer", lambda label: Spec.parse(label, "optimizer").label)
    out["budget"] = text.numbers("budget", whole=True, positive=True)
    out["cell"] = out["workload"] + " " + out["optimizer"] + " " + out["budget"].map("{:.0f}".format)
    out["status"] = text.words("status", "completed", STATUSES)
    out["mode"] = text.words("mode", "min", MODES)
    out["metric_mode"] = text.words("metric_mode", None, MODES)
    out["deterministic"] = text.words("deterministic", "false", ("true", "false")) == "true"
    out["objective_name"] = text.words("objective_name", "objective")
    out["metric_name"] = text.words("metric_name", None)
    out["base_lr"] = text.numbers("base_lr", positive=True)
    out["seed"] = text.numbers("seed", default=0.0, whole=True)
    out["full_budget"] = text.numbers("full_budget", default=np.nan, whole=True, positive=True)
    completed = out["status"] == "completed"
    # A trial without a result must say so by its status, not by an empty objective.
    text.require_finite("objective", completed, "a number in a completed trial; else give its status, such as diverged")
    out["objective"] = text.measurements("objective").where(completed)
    for name in [*METRICS, *rung_columns(text.columns)]:
        out[name] = text.measurements(name)
    out["steps"] = text.numbers("steps", default=np.nan, whole=True)
    out["steps"] = out["steps"].fillna(out["budget"].where(completed))
    schedules = _schedules(text)
    out["family"] = text["family"]
    out["schedule"] = [json.dumps(each.to_dict()) for each in schedules]
    out["phi"] = [getattr(each, "phi", np.nan) if each.family == "uba" else np.nan for each in schedules]
    out["mean_lr"] = out["base_lr"] * _means(out["schedule"], out["budget"], schedules)
    out["trial_id"] = text.words("trial_id", None)
    out["trial_id"] = out["trial_id"].fillna(pd.Series([f"line-{line}" for line in out.index], index=out.index))
    return out.assign(phase=_phases(out, text))


def _phases(out: pd.DataFrame, text: CsvText) -> "pd.Series[Any]":
    if "phase" in text.columns:
        return text.words("phase", "explore", PHASES)
    first = out.groupby(_SAME_CONFIGURATION, sort=False)["seed"].transform("min")
    return pd.Series(np.where(out["seed"] == first, "explore", "replicate"), index=out.index)


def _with_finalists(out: pd.DataFrame, text: CsvText) -> pd.DataFrame:
    """The rows with `finalist` filled in: the explore trial of the same configuration, where the file names none."""
    explore = out[out["phase"] == "explore"].drop_duplicates(_SAME_CONFIGURATION)
    by_configuration = explore.set_index(_SAME_CONFIGURATION)["trial_id"]
    configurations = pd.MultiIndex.from_frame(out[_SAME_CONFIGURATION])
    same = pd.Series(by_configuration.reindex(configurations).to_numpy(), index=out.index)
    replicate = out["phase"] == "replicate"
    finalist = text.words("finalist", None).loc[out.index].fillna(same).where(replicate)
    explored = finalist.isin(out.loc[~replicate, "trial_id"])
    for line in out.index[replicate & ~explored][:1]:
        raise text.error(line, "finalist", "is none", "a replicate repeats an explore trial of the file")
    return out.assign(finalist=finalist)


def _schedules(text: CsvText) -> list[Schedule]:
    phis = text.numbers("phi", default=np.nan, positive=True)
    schedules: dict[tuple[str, str, float | None], Schedule] = {}
    out = []
    for line, family_name, described, phi in zip(text.index, text["family"], text["schedule"], phis, strict=True):
        key = (family_name, described, None if np.isnan(phi) else float(phi))
        if key not in schedules:
            try:
                schedules[key] = _schedule(*key)
            except (InputError, ValueError, TypeError) as error:
                raise InputError(f"{text.path}: line {line}: {error}") from None
        out.append(schedules[key])
    return out


def _schedule(label: str, described: str, phi: float | None) -> Schedule:
    values = json.loads(described or "{}")
    if not isinstance(values, dict):
        raise InputError(f"schedule: {described!r} is not allowed; it must be a JSON object")
    name = values.get("family", label)
    if label in families() and name != label:
        raise InputError(f"schedule: {described!r} is not allowed; it must be of the family {label!r}")
    has_phi = "phi" in family(str(name)).own_fields()
    if not described:
        return schedule(label, **({"phi": phi} if has_phi and phi is not None else {}))
    described_schedule = from_dict({"family": label, **values})
    if has_phi and phi is not None and not np.isclose(getattr(described_schedule, "phi", np.nan), phi):
        raise InputError(f"phi: {phi:g} is not the schedule's, {described!r}")
    return described_schedule


def _means(
    described: "pd.Series[str]", budgets: "pd.Series[float]", schedules: list[Schedule]
) -> "np.typing.NDArray[np.float64]":
    keys = list(zip(described, budgets, strict=True))
    means = {key: each.mean(int(key[1])) for key, each in dict(zip(keys, schedules, strict=True)).items()}
    return np.array([means[key] for key in keys], dtype=np.float64)
