"""The progress of a search: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from phitune.search.records.record import Record
from phitune.search.study.model import Cell
from phitune.trainables.schedules import from_dict

_LIVE_EVERY = 0.5
_LINE_EVERY = 10.0
# Trials that end before the pace is measured: the first ones wait for processes to start and modules to load.
_STARTING = 4
_MOST_ROWS = 24


class Progress:
    """Counts ended trials and shows them.

    Args:
        cells: All cells of the study.
        expected: Trials in all, estimated; corrected by `tick`.
        records: Trials that ended before this process.
    """

    def __init__(self, console: Console, cells: Iterable[Cell], expected: int, records: Iterable[Record]) -> None:
        self._console = console
        self._cells = {cell.key: cell for cell in cells}
        self._expected = expected
        self._counts: Counter[str] = Counter()
        self._of_cell: Counter[str] = Counter()
        self._best: dict[str, Record] = {}
        self.busy_seconds = 0.0
        self.reasons: Counter[str] = Counter()
        for record in records:
            self._count(record)
        self._before = self._counts.total()
        self._warm: tuple[float, int] | None = None
        self._shown = 0.0
        self._running = 0
        self._note: str | None = None
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._live.stop()

    def ended(self, record: Record) -> None:
        """Counts a trial that has just ended."""
        self._count(record)
        self.busy_seconds += record.seconds
        if self._warm is None and self._counts.total() - self._before >= _STARTING:
            self._warm = time.monotonic(), self._counts.total()

    def tick(self, running: int, expected: int, note: str | None = None) -> None:
        """Shows the state if the last time is long enough ago; ``note`` is shown with it, such as a server away."""
        self._running, self._expected, self._note = running, expected, note
        now = time.monotonic()
        if now - self._shown < (_LIVE_EVERY if self._live else _LINE_EVERY):
            return
        self._shown = now
        if self._live:
            self._live.update(Group(self._table(), self._line()), refresh=True)
        else:
            self._console.print(self._line(), soft_wrap=True)

    def summary(self) -> Table:
        """The table of cells."""
        return self._table()

    def counts(self) -> str:
        """Such as ``480 trials: 300 completed, 150 stopped, 30 diverged``."""
        kinds = [f"{self._counts[kind]} {kind}" for kind in ("completed", "stopped", "diverged", "failed")]
        parts = ", ".join(kind for kind in kinds if not kind.startswith("0 "))
        return f"{self._counts.total()} trials" + (f": {parts}" if parts else "")

    def _count(self, record: Record) -> None:
        self._counts[record.status] += 1
        self._of_cell[record.trial.cell] += 1
        if record.status == "failed":
            self.reasons[record.reason] += 1
        key = record.trial.cell
        if record.beats(self._best.get(key), self._cells[key].mode):
            self._best[key] = record

    def _line(self) -> Text:
        ended = self._counts.total()
        left = max(self._expected - ended, 0)
        remaining = "starting"
        if self._warm is not None and ended > self._warm[1]:
            since, count = self._warm
            remaining = f"about {_duration((time.monotonic() - since) / (ended - count) * left)} left"
        kinds = [f"{self._counts[kind]} {kind}" for kind in ("stopped", "diverged", "failed") if self._counts[kind]]
        parts = [", ".join([f"{ended}/{self._expected} trials", f"{self._running} running", *kinds]), remaining]
        return Text("; ".join([*parts, self._note] if self._note else parts))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for heading in ("cell", "trials", "best so far", "objective", "metric"):
            left = heading in ("cell", "best so far")
            table.add_column(heading, justify="left" if left else "right", no_wrap=True)
        for key, cell in list(self._cells.items())[:_MOST_ROWS]:
            best = self._best.get(key)
            row = ["", "", ""]
            if best is not None:
                shown = f"{from_dict(best.trial.schedule)} lr={best.trial.base_lr:.3g}"
                # A function need not report a metric.
                metric = best.final.get("val_metric")
                named = "" if metric is None else f"{metric:.4g} {cell.metric_name}"
                row = [shown, f"{best.final['objective']:.4g}", named]
            table.add_row(key, str(self._of_cell[key]), *row)
        if len(self._cells) > _MOST_ROWS:
            table.add_row(f"… {len(self._cells) - _MOST_ROWS} more cells")
        return table


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
