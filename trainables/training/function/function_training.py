"""A function workload's trial in progress: the function runs in a thread of its own from rung to rung."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

from phitune.trainables.errors import InputError
from phitune.trainables.training.function.generators import seed_generators
from phitune.trainables.training.function.link import Link, Plan, TrialEnded
from phitune.trainables.training.function.nodes import Nodes
from phitune.trainables.training.function.trial import Trial
from phitune.trainables.workloads.function import Function


class FunctionTraining(Link):
    """A trial in progress, with the interface of a `Training`; behind the function's `Trial`.

    The function runs in a thread. At a rung its `Trial.report` waits, and `requests` returns. The next `requests` is
    the verdict to go on, `close` the verdict to stop. A trial has diverged when its objective is not finite.

    Args:
        function: The function with its arguments.
        plan: The trial.
        nodes: Where `spawn` starts processes.

    Attributes:
        step: Iterations done at the last report.
        trouble: How the trial has diverged; empty if it has not.
        curve: The reported points, oldest first.
        diagnosed: Nothing; a function reports what it measures.
    """

    def __init__(self, function: Function, plan: Plan, nodes: Nodes | None = None) -> None:
        self.nodes = nodes or Nodes()
        self.step = 0
        self.trouble = ""
        self.curve: list[dict[str, float]] = []
        self.diagnosed: list[dict[str, float]] = []
        self._function = function
        self._plan = plan
        self._restored: Any = None
        self._saving: tuple[int, Callable[[], Any]] = (0, dict)
        self._between: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        # What the thread has come to: None for a rung or divergence, else how the function ended.
        self._events: SimpleQueue[_End | None] = SimpleQueue()
        self._verdicts: SimpleQueue[bool] = SimpleQueue()
        self._closed = False

    @property
    def diverged(self) -> bool:
        """Whether the trial has diverged."""
        return bool(self.trouble)

    def requests(self, until: int, between: Callable[[], None] | None = None) -> Generator[Any, Any, None]:
        """Runs the function until it has reported the rung ``until``, or to its end if that is the budget.

        It asks its caller for nothing: the function trains and evaluates by itself.

        Args:
            between: Called when the function saves its state; it may take a `state_dict`.

        Raises:
            InputError: The function returned although an iteration was due.
            BaseException: The function's own error.
        """
        yield from ()
        self._between = between
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._function.name, daemon=True)
            self._thread.start()
        else:
            self._verdicts.put(True)
        end = self._events.get()
        if end is not None and end.error is not None:
            raise end.error
        if end is not None and self.step < self._plan.budget:
            raise InputError(
                f"{self._function.name}: it returned although it was not told to stop; the last of its reports is of "
                f"iteration {self.step} of {self._plan.budget}, the budget, and that one is always due"
            )

    def evaluate(self, split: str) -> dict[str, float]:
        """Nothing: what a function measures on other splits is in its reports."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """State of the trial at the `Trial.save` in progress, whose state is collected now."""
        step, content = self._saving
        return {"step": step, "curve": list(self.curve), "saved": content()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state from `state_dict` of a trial of the same configuration, before the function has begun."""
        self.step = state["step"]
        self.curve = list(state["curve"])
        self._restored = state["saved"]
        self._plan = replace(self._plan, start=self.step, observed=self._plan.observed_in(self.curve))

    def close(self, patience: float) -> bool:
        """Tells the function to stop, if it runs, and waits for its end; returns whether it has ended.

        Args:
            patience: Seconds to wait.
        """
        if self._thread is None:
            return True
        self._closed = True
        self._verdicts.put(False)
        self._thread.join(patience)
        return not self._thread.is_alive()

    def report(self, step: int, point: Mapping[str, float] | None) -> bool:
        self.step = step
        if point is None:
            self.trouble = f"the reported loss is not finite at iteration {step}"
        else:
            self.curve.append(dict(point))
        if point is not None and step not in self._plan.rungs:
            return True
        self._events.put(None)
        return self._verdicts.get()

    def save(self, step: int, content: Callable[[], Any]) -> None:
        self._saving = step, content
        if self._between is not None:
            self._between()
        self._saving = 0, dict

    def restore(self) -> Any:
        restored, self._restored = self._restored, None
        return restored

    def check(self) -> None:
        if self._closed:
            raise TrialEnded("the trial has ended; return where trial.report is false")

    def _run(self) -> None:
        """The thread: the function from start to end."""
        error: BaseException | None = None
        try:
            seed_generators(self._plan.seed)
            self._function.call(Trial(self._plan, self))
        except TrialEnded:
            pass
        except BaseException as raised:
            error = raised
        if self._plan.device != "cpu":
            # A model in a reference cycle would keep its memory on the device.
            gc.collect()
        self._events.put(_End(error))


class _End:
    """How a function ended: with an error or without."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
