"""A crew at work in a thread, for callers that come with one task each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from phitune.trainables.errors import TaskGoneError
from phitune.trainables.population.crew import Crew, Report

# Seconds after which a task that nobody asks for is held to have nobody left: its process has died.
LEASE = 20.0


@dataclass(eq=False)
class _Guest:
    """A task that is here.

    Attributes:
        rows: How many trials its population holds.
        seen: When it was last asked for.
        lost: Why it cannot be told to go on any more.
        report: Its next.
    """

    rows: int
    seen: float
    lost: Exception | None = None
    report: Future[Report] = field(default_factory=Future)

    def tell(self, outcome: Report | Exception) -> None:
        """Its report or why there is none, unless it was told something already."""
        if self.report.done():
            return
        if isinstance(outcome, Exception):
            self.report.set_exception(outcome)
        else:
            self.report.set_result(outcome)


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
        self._orders: list[tuple[_Guest, Callable[[], None]]] = []
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
            self._forget(key)
            guest = self._guests[key] = _Guest(rows, time.monotonic())
            self._order(guest, lambda: self._crew.begin(key, text, rows))
        return True

    def go_on(self, key: str) -> None:
        """Has a task train to its next report.

        Raises:
            TaskGoneError: There is no such task, or no longer.
        """
        with self._ordered:
            guest = self._guest(key)
            guest.report = Future()
            self._order(guest, lambda: self._go_on(key, guest))

    def report(self, key: str) -> Future[Report]:
        """The report that a task was told to train to, or an error that a fresh process may not meet.

        Raises:
            TaskGoneError: There is no such task, or no longer; the future may say so too.
        """
        with self._ordered:
            return self._guest(key).report

    def end(self, key: str) -> None:
        """Forgets a task, if it is here."""
        with self._ordered:
            guest = self._forget(key)
            if guest is not None:
                self._order(guest, lambda: self._crew.end(key))

    def _guest(self, key: str) -> _Guest:
        if key not in self._guests:
            raise TaskGoneError(key)
        guest = self._guests[key]
        guest.seen = time.monotonic()
        return guest

    def _forget(self, key: str) -> _Guest | None:
        guest = self._guests.pop(key, None)
        if guest is not None:
            guest.tell(TaskGoneError(key))
        return guest

    def _order(self, guest: _Guest, order: Callable[[], None]) -> None:
        self._orders.append((guest, order))
        self._ordered.notify()

    def _work(self) -> None:
        while True:
            self._turn()

    def _turn(self) -> None:
        """What was ordered, and a round; waits where there is nothing to do."""
        with self._ordered:
            if self._crew.idle and not self._orders:
                self._ordered.wait(self._lease)
            for key, guest in list(self._guests.items()):
                if time.monotonic() - guest.seen > self._lease:
                    self.end(key)
            orders, self._orders = self._orders, []
            guests = dict(self._guests)
        for guest, order in orders:
            try:
                order()
            except Exception as error:
                with self._ordered:
                    guest.lost = error
                    guest.tell(error)
        self._round(guests)
        if not guests:
            # Others may train on this device before somebody comes here again.
            self._crew.give_back()

    def _go_on(self, key: str, guest: _Guest) -> None:
        if guest.lost is not None:
            raise guest.lost
        self._crew.go_on(key)

    def _round(self, guests: Mapping[str, _Guest]) -> None:
        """A round of the crew, and what came of it for those that were here when it began."""
        outcomes: Mapping[str, Report | Exception]
        try:
            done = self._crew.round()
            outcomes = {**done.reports, **done.errors}
        except Exception as error:
            # Nobody may wait for ever: those that train are told, and those that wait find themselves gone.
            self._crew = Crew(self._device)
            outcomes = dict.fromkeys(guests, error)
            for key, guest in guests.items():
                guest.lost = TaskGoneError(key)
        with self._ordered:
            for key, guest in guests.items():
                if key in outcomes:
                    guest.tell(outcomes[key])
