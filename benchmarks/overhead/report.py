"""The table of the contenders: on the terminal, in overhead.md and overhead.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.overhead.contender import SLOTS, Contender
from benchmarks.overhead.figures import STEADY, Figures, middle
from benchmarks.overhead.problem import BUDGET, REPORTS

_KINDS = ("driver", "trials", "ray", "other")


def table(line_up: list[Contender], measurements: dict[str, list[Figures]]) -> str:
    """A Markdown table, one contender a row, in the line-up's order."""
    own = middle(measurements["phitune"]).steady_ms if measurements.get("phitune") else None
    heads = [
        "contender",
        "n",
        "ms a trial",
        "÷ phitune",
        "ms to exit",
        "orchestration, slot ms",
        "start, s",
        "drain, s",
    ]
    heads += ["CPU ms: driver", "trials", "Ray", "other", "in MLflow", "load"]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    for contender in line_up:
        rounds = measurements.get(contender.name)
        if not rounds:
            continue
        one = middle(rounds)
        low, high = min(r.steady_ms for r in rounds), max(r.steady_ms for r in rounds)
        spread = f" ({low:.3g}–{high:.3g})" if len(rounds) > 1 else ""
        cells = [contender.name, str(one.trials), f"{one.steady_ms:.1f}{spread}"]
        cells += [f"{one.steady_ms / own:.2f}" if own else "", f"{one.to_exit_ms:.1f}", f"{one.orchestration_ms:.1f}"]
        cells += [f"{one.start_s:.1f}", f"{one.drain_s:.1f}"]
        cells += [f"{one.cpu_ms.get(kind, 0.0):.1f}" for kind in _KINDS]
        cells += ["–" if one.recorded is None else str(one.recorded), f"{one.load:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write(
    folder: Path, header: dict[str, Any], line_up: list[Contender], measurements: dict[str, list[Figures]]
) -> None:
    """Writes both files; prints where."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["# Orchestration, side by side", ""]
    lines += [f"- {key.capitalize()}: {f'`{value}`' if key == 'command' else value}" for key, value in header.items()]
    lines += ["", _METHOD, table(line_up, measurements), "", "## Contenders", ""]
    lines += [f"- {contender.name}: {contender.says}" for contender in line_up if contender.name in measurements]
    (folder / "overhead.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    rounds = {name: [one.values() for one in several] for name, several in measurements.items()}
    (folder / "overhead.json").write_text(json.dumps({**header, "rounds": rounds}, indent=1) + "\n", encoding="utf-8")
    print(f"{folder / 'overhead.md'}, {folder / 'overhead.json'}")


_METHOD = f"""\
All run the same training function, the noisy quadratic for {BUDGET} iterations, {SLOTS} at a time, one contender after
the other in one run, each in its own process and folder. The peers report after {", ".join(map(str, REPORTS))}
iterations; phitune at its own rungs and at the end.

- ms a trial: wall time from the {STEADY[0]:.0%} to the {STEADY[1]:.0%} mark of the ended trials, by their number.
- ms to exit: from the same first mark to the exit of the process, so with the last writes to MLflow and the end of Ray,
  divided by the trials in between.
- orchestration, slot ms: ms a trial × {SLOTS} slots, less the CPU time that the same training takes in a bare loop.
- start: from the start of the process to the first ended trial; drain: from the last to the exit.
- CPU: of the process itself, Ray's worker processes, its servers, and other children, a trial, in steady state; sampled
  every half second, so a lower bound where every trial is a process of its own.
- in MLflow: ended runs in the database after the exit. Load: the machine's before the contender began (1 minute).
"""
