"""A crew at work in a thread, for callers that come with one task each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from trainables.population.crew import Crew, Report, Round

# Seconds after which a task that nobody asks for is held to have nobody left: its process has died.
LEASE = 20.0


@dataclass
class _Guest:
    """A task that is here: how many trials its population holds, when it was last asked for, its next report."""

    rows: int
    seen: float
    report: Future[Report] = field(default_factory=Future)


class Host:
    """Takes tasks, trains them together and gives their reports; its methods may be called from any thread.

    Args:
        device: A torch device.
        lease: Seconds for which a task stays without being asked for.
    """

    def __init__(self, device: str, lease: float = LEASE) -> None:
        self._device = device
        self._crew = Crew(device)
        self._lease = lease
        self._guests: dict[str, _Guest] = {}
        self._orders: list[Callable[[], None]] = []
        self._ordered = threading.Condition()
        threading.Thread(target=self._work, name="population", daemon=True).start()

    @property
    def stuck(self) -> bool:
        """Whether its thread has not been around for long, though a task that should be gone is still here."""
        with self._ordered:
            return any(time.monotonic() - guest.seen > 2 * self._lease for guest in self._guests.values())

    def begin(self, key: str, text: str, rows: int) -> bool:
        """Takes a task (`Crew.begin`) of a population of so many trials; says whether there is room for it."""
        with self._ordered:
            others = sum(1 / guest.rows for other, guest in self._guests.items() if other != key)
            if others + 1 / rows > 1 + 1e-9:
                return False
            self._guests[key] = _Guest(rows, time.monotonic())
            self._order(lambda: self._crew.begin(key, text, rows))
        return True

    def go_on(self, key: str) -> None:
        """Has a task train to its next report.

        Raises:
            KeyError: There is no such task, or no longer.
        """
        with self._ordered:
            guest = self._guests[key]
            guest.seen, guest.report = time.monotonic(), Future()
            self._order(lambda: self._crew.go_on(key))

    def report(self, key: str) -> Future[Report]:
        """The report that a task was told to train to, or an error that a fresh process may not meet.

        Raises:
            KeyError: There is no such task, or no longer.
        """
        with self._ordered:
            guest = self._guests[key]
            guest.seen = time.monotonic()
            return guest.report

    def end(self, key: str) -> None:
        """Forgets a task, if it is here."""
        with self._ordered:
            if self._guests.pop(key, None) is not None:
                self._order(lambda: self._crew.end(key))

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.append(order)
        self._ordered.notify()

    def _work(self) -> None:
        while True:
            with self._ordered:
                if self._crew.idle and not self._orders:
                    self._ordered.wait(self._lease)
                for key, guest in list(self._guests.items()):
                    if time.monotonic() - guest.seen > self._lease:
                        self.end(key)
                orders, self._orders = self._orders, []
                reports = {key: guest.report for key, guest in self._guests.items()}
            try:
                for order in orders:
                    order()
                done = self._crew.round()
            except Exception as error:
                # Nobody may wait for ever: all are told, and may begin again.
                self._crew = Crew(self._device)
                done = Round(errors=dict.fromkeys(reports, error))
            for key, told in done.reports.items():
                reports[key].set_result(told)
            for key, failure in done.errors.items():
                if not reports[key].done():
                    reports[key].set_exception(failure)
