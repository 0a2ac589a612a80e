"""Do replicates, trained side by side with the same seeds, agree with what the report claims?

    python docs/results/networks/side_by_side.py [FOLDER]

Of every cell in which the recommended family and a baseline were finalists: the gain that the report expects, and the
mean gain over pairs of replicates with its standard error, in per cent. The replicates are evidence for the report,
too; but it weighs them with all other trials of the group, and here they stand alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

CLEAR, LIKELY = "clear", "likely"


def main(folder: Path) -> None:
    trials = pd.read_parquet(folder / "results.parquet")
    replicates = trials[(trials["phase"] == "replicate") & (trials["status"] == "completed")]
    told = json.loads((folder / "guidelines.json").read_text(encoding="utf-8"))
    rows = []
    for cell in told["cells"]:
        key = {name: cell[name] for name in ("workload", "optimizer", "budget")}
        mine = replicates[(replicates[list(key)] == pd.Series(key)).all(axis=1)]
        by_seed = mine.pivot_table(index="seed", columns="family", values="objective")
        for baseline in {"cosine", "linear"} - {cell["family"]}:
            gain = cell["gains"].get(baseline)
            if gain is None or not {baseline, cell["family"]} <= set(by_seed):
                continue
            apart = 100.0 * (1.0 - by_seed[cell["family"]] / by_seed[baseline]).dropna()
            sure = CLEAR if gain["interval"][0] > 0 else LIKELY if gain["probability"] >= 0.8 else ""
            pair = {"of": cell["family"], "over": baseline, "claim": sure}
            measured = {"side_by_side": apart.mean(), "error": apart.sem(), "pairs": len(apart)}
            rows.append(key | pair | {"expected": gain["percent"]} | measured)
    table = pd.DataFrame(rows).sort_values(["workload", "optimizer", "budget", "over"])
    print(table.to_string(index=False, float_format="{:.2f}".format))
    for sure in (CLEAR, LIKELY):
        some = table[table["claim"] == sure]
        agree = int((some["side_by_side"] > 0).sum())
        means = f"{some['expected'].mean():.1f} % expected, {some['side_by_side'].mean():.1f} % side by side"
        print(f"{sure}: {agree} of {len(some)} have the same sign; {means}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
