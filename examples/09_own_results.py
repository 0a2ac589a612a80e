"""Results that others measured, as a CSV file that phitune analyses: public trainings of language models.

python 09_own_results.py ../docs/results/llama/runs.csv llama.csv && phitune analyze llama.csv

Of the runs (github.com/fabian-sp/lr-scheduling, MIT) it takes those of the 124M model on SlimPajama: linear cooldowns,
cosines to a tenth of the LR, the habit of the field and so the `cosine` that others are compared with, and to zero.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

COLUMNS = ("workload", "optimizer", "budget", "family", "schedule", "base_lr", "phase", "objective_name", "objective")
MODEL = {"dataset": "slimpajama", "n_layer": "12", "n_head": "12", "n_embd": "768"}


def main(source: Path, target: Path) -> None:
    """Writes the CSV file `target` from the runs in the CSV file `source`."""
    with source.open(encoding="utf-8", newline="") as file:
        runs = [run for run in csv.DictReader(file) if MODEL.items() <= run.items()]
    known: set[tuple[str, ...]] = set()
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for run in runs:
            if (described := labelled_schedule(run)) is None:
                continue
            label, schedule = described
            configuration = (run["iterations"], label, json.dumps(schedule), run["lr"])
            # All have seed 0; repeats of a configuration differ all the same.
            phase = "replicate" if configuration in known else "explore"
            known.add(configuration)
            result = (phase, "val_loss", run["final_val_loss"])
            writer.writerow(["llama-124M/slimpajama", run["optimizer"], *configuration, *result])


def labelled_schedule(run: dict[str, str]) -> tuple[str, dict[str, Any]] | None:
    """The family's label and the schedule of a run; None for one that is not of the grid or whose end is not known."""
    warmup, iterations = int(run["warmup"]), int(run["iterations"])
    if run["scheduler"] == "cos" and run["cos_floor"]:
        floor = float(run["cos_floor"])
        label = "cosine" if floor == 0.1 else "cosine-to-zero"
        return label, {"family": "cosine", "floor": floor, "warmup": warmup}
    if run["scheduler"] == "wsd" and run["decay_type"] == "linear" and float(run["cooldown"]) > 0:
        # Theirs is a share of all iterations, phitune's of those after warmup.
        cooldown = min(float(run["cooldown"]) * iterations / (iterations - warmup), 1.0)
        return "wsd", {"family": "wsd", "cooldown": cooldown, "warmup": warmup}
    return None


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
