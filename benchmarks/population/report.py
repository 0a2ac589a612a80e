"""The figures as a page of Markdown."""

from __future__ import annotations

from typing import Any

_WORDS = """\
- trials an hour: steps a second × 3600 ÷ the workload's full budget; evaluations and reports are not in it.
- over (a): against one process with one trial, the first row of each workload.
- of matmul: floating-point operations of the matrix products and convolutions, as a trial alone does them, against the
  measured rate of a large matrix product in the same precision. Of copy: bytes that all operations read and write if
  nothing is cached, against the measured rate of a large copy; more than 100 % is the work of caches.
- MiB a trial: of the device's memory; for processes with their CUDA contexts.
- Every figure is one run: the median round over the seconds given, processes over one common stretch of time."""

_CPU = """\
- One thread a process, timed in its own CPU seconds: what else the machine did (load) counts little.
- **There was no GPU: its part waits for one, and the same command runs it.**"""


def report(content: dict[str, Any]) -> str:
    """The page.

    Args:
        content: The JSON file that `benchmarks.population` writes.
    """
    lines = ["# Trials an hour: one process, several, a population", ""]
    lines += [f"- {key.capitalize()}: {content[key]}" for key in ("command", "machine", "versions", "date")]
    lines += [_WORDS, _CPU] if content["device"] == "cpu" else [_WORDS]
    for label, rows in content["workloads"].items():
        lines += ["", *_table(label, rows)]
    return "\n".join(lines) + "\n"


def _table(label: str, content: dict[str, Any]) -> list[str]:
    first = next((row["steps_a_second"] for row in content["processes"] if "steps_a_second" in row), None)
    lines = [
        f"## {label}",
        "",
        f"{content['optimizer']}, {content['precision']}, {content['full_budget']} iterations a trial, "
        f"{content['gflop_a_step']:.3g} GFLOP a step; matmul {content['matmul_tflops']:.3g} TFLOP/s, copy "
        f"{content['copy_gb_s']:.3g} GB/s; load {content['load']}",
        "",
        "| | trials an hour | over (a) | ms a trial's step | MiB a trial | of matmul | of copy |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in content["processes"]:
        count = row["processes"]
        name = "(a) one process" if count == 1 else f"(b) {count} processes"
        lines.append(_failed(name, row["failed"]) if "failed" in row else _row(name, row, content, first))
    for row in content["population"]:
        parts = f", {row['together']} at once" if row["together"] < row["k"] else ""
        form = "" if row["convolution"] == "grouped" else f", {row['convolution']}"
        lines.append(_row(f"(c) population of {row['k']}{parts}{form}", row, content, first))
    return lines + [_failed(f"(c) population of {k}", why) for k, why in content["left_out"].items()]


def _row(name: str, row: dict[str, Any], content: dict[str, Any], first: float | None) -> str:
    speed = row["steps_a_second"]
    over = "–" if first is None else f"{speed / first:.2f}"
    memory = "–" if row["mib_a_trial"] is None else f"{row['mib_a_trial']:.1f}"
    shares = [f"{row[key]:.1%}" if key in row else "–" for key in ("matrix_share", "copy_share")]
    trials = 3600 * speed / content["full_budget"]
    hour = f"{trials:.3g}" if trials < 100 else f"{trials:.0f}"
    step = f"{1e3 / speed:.3g}" if speed > 1 else f"{1e3 / speed:.0f}"
    return "| " + " | ".join([name, hour, over, step, memory, *shares]) + " |"


def _failed(name: str, why: str) -> str:
    return f"| {name} | {why} | | | | | |"
