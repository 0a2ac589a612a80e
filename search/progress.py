"""The progress of a search: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from phitune.search.proposing.cell import CellProposer
from phitune.search.proposing.standing import Standing
from phitune.search.records.record import Record
from phitune.trainables.schedules import from_dict

_LIVE_EVERY = 0.5
_LINE_EVERY = 10.0
# Of the search's time, what showing its state may take.
_SHARE = 0.01
# Trials that end before the pace is measured: the first ones wait for processes to start and modules to load.
_STARTING = 4
_MOST_ROWS = 24
# Lines of a terminal that are not the table's rows: its head, a line for other cells, the line below, the prompt.
_OTHER_LINES = 5
# Columns that hold all but the cell, and those that its key has in any case.
_OTHER_COLUMNS = 68
_LEAST_KEY = 16
_SYMBOLS = {"phi": "φ"}


class Progress:
    """Counts ended trials and shows them.

    Args:
        proposers: All cells of the study.
        expected: Trials in all, estimated; corrected by `tick`.
        records: Trials that ended before this process.
    """

    def __init__(
        self, console: Console, proposers: Iterable[CellProposer], expected: int, records: Iterable[Record]
    ) -> None:
        self._console = console
        self._proposers = {proposer.name: proposer for proposer in proposers}
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
        self._next = 0.0
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
        if now < self._next:
            return
        if self._live:
            self._live.update(Group(self._state(), self._line()), refresh=True)
        else:
            self._console.print(self._line(self._most_to_gain()), soft_wrap=True)
        took = time.monotonic() - now
        self._next = now + max(_LIVE_EVERY if self._live else _LINE_EVERY, took / _SHARE)

    def summary(self) -> Table:
        """The table of cells with their best trials, which are those with most luck too."""
        table = _table("cell", "trials", "luckiest trial", "objective", "metric")
        for key, proposer in list(self._proposers.items())[:_MOST_ROWS]:
            best = self._best.get(key)
            row = ["", "", ""]
            if best is not None:
                shown = f"{from_dict(best.trial.schedule)} lr={best.trial.base_lr:.3g}"
                # A function need not report a metric.
                metric = best.final.get("val_metric")
                named = "" if metric is None else f"{metric:.4g} {proposer.cell.metric_name}"
                row = [shown, f"{best.final['objective']:.4g}", named]
            table.add_row(key, str(self._of_cell[key]), *row)
        return self._with_rest(table, _MOST_ROWS)

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
        if record.beats(self._best.get(key), self._proposers[key].cell.mode):
            self._best[key] = record

    def _line(self, more: str = "") -> Text:
        ended = self._counts.total()
        left = max(self._expected - ended, 0)
        remaining = "starting"
        if self._warm is not None and ended > self._warm[1]:
            since, count = self._warm
            remaining = f"about {_duration((time.monotonic() - since) / (ended - count) * left)} left"
        kinds = [f"{self._counts[kind]} {kind}" for kind in ("stopped", "diverged", "failed") if self._counts[kind]]
        parts = [", ".join([f"{ended}/{self._expected} trials", f"{self._running} running", *kinds]), remaining]
        return Text("; ".join(filter(None, [*parts, more, self._note])))

    def _state(self) -> Table:
        """The table while it searches: the best trials, and the belief; at most a terminal's height."""
        most = max(min(_MOST_ROWS, self._console.height - _OTHER_LINES), 1)
        room = max(self._console.width - _OTHER_COLUMNS, _LEAST_KEY)
        shown = list(self._proposers.values())
        # Samplers other than the surrogate have no belief.
        belief = ("belief", "one more gains") if any(proposer.standing for proposer in shown) else ()
        table = _table("cell", "trials", "best so far", *belief)
        # Where all fit, each keeps its place.
        for proposer in self._by_gain()[:most] if len(shown) > most else shown:
            key, standing, best = proposer.name, proposer.standing, self._best.get(proposer.name)
            believed = "" if standing is None else _believed(standing)
            gain = "" if standing is None else "–" if proposer.explored else _gain(standing)
            # The budget is at the key's end.
            name = key if len(key) <= room else f"…{key[1 - room :]}"
            objective = "" if best is None else f"{best.final['objective']:.4g}"
            table.add_row(name, str(self._of_cell[key]), objective, *[believed, gain][: len(belief)])
        return self._with_rest(table, most)

    def _with_rest(self, table: Table, most: int) -> Table:
        if len(self._proposers) > most:
            table.add_row(f"and {len(self._proposers) - most} more cells")
        return table

    def _by_gain(self) -> list[CellProposer]:
        """The cells, those first where one more trial is worth most."""
        return sorted(self._proposers.values(), key=lambda proposer: -proposer.value)

    def _most_to_gain(self) -> str:
        """Where one more trial is worth most, as far as that is known; empty if it is not."""
        for proposer in self._by_gain():
            if (standing := proposer.standing) is not None and not proposer.explored:
                return f"most to gain by one more trial: {_gain(standing)} ({proposer.name})"
        return ""


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        left = heading in ("cell", "luckiest trial", "belief")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    return table


def _believed(standing: Standing) -> str:
    """The best configuration by expectation, and φ* in brackets after its family where that is another one."""
    values = {**standing.parameters, "lr": standing.base_lr}
    best = " ".join([standing.family, *(f"{_SYMBOLS.get(key, key)}={value:.2g}" for key, value in values.items())])
    if standing.phi is None or standing.phi_of == standing.family:
        return best
    return f"{best} ({standing.phi_of} φ={standing.phi:.2g})"


def _gain(standing: Standing) -> str:
    """What one more trial is expected to gain."""
    if standing.gain is None:
        return "?"
    return f"{100 * standing.gain:.2g} %" if standing.relative else f"{standing.gain:.2g}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
