"""Several processes that train one trial together, one a GPU: they live and die with it."""

from __future__ import annotations

import math
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING, Any

from phitune.trainables.training.function.generators import seed_generators
from phitune.trainables.training.function.link import Link, Plan, TrialEnded
from phitune.trainables.training.function.nodes import LOOK_EVERY, Door, FarProcess, Nodes, OtherNode, reported
from phitune.trainables.training.function.packing import packed, unpacked
from phitune.trainables.training.function.trial import Trial

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

# The share of a function's patience that its processes have.
_SHARE = 0.5
# Seconds within which a death is noticed that makes the other processes complain.
_SOON = 0.5


def spawn(trial: Trial, worker: Callable[..., Any], *arguments: Any, processes: int | None = None) -> None:
    """Trains a trial in several processes: runs ``worker(trial, *arguments)`` in each until all have returned.

    Their environment is that of ``torchrun``, so that ``torch.distributed.init_process_group("gloo")`` (or ``nccl``)
    needs nothing else. The trial of process r has the device ``cuda:r``, or ``cpu``. All processes call
    ``trial.report`` where it is due: the metrics of rank 0 count, and all get its verdict. ``trial.save`` takes the
    state of rank 0, and ``trial.restore`` gives it to all. When one process dies or raises, the others are killed;
    they die too when this process does.

    Args:
        trial: The trial, as the function gets it.
        worker: A function on the top level of a module.
        arguments: Of the worker, after the trial; they are pickled.
        processes: Their number on each of the trial's nodes; by default one a GPU, or one on a CPU.

    Raises:
        ChildProcessError: A process died. In a search the trial is then started again, from what it has saved.
        ProcessLostError: One of the trial's nodes is gone; the same.
        Exception: What a process raised, the first if there are several.
    """
    import torch
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    plan, nodes = trial._plan, trial._link.nodes
    here = processes or max(1, torch.cuda.device_count() if trial.device != "cpu" else 1)
    # It picks a free port and keeps it; the processes meet here.
    store = TCPStore(nodes.host, 0, None, True, wait_for_workers=False)
    group = _Group(trial._link, _SHARE * plan.patience)
    context = torch.multiprocessing.get_context("spawn")
    members = [
        _Member(node, rank, here, 1 + len(nodes.others), nodes.host, store.port, plan, trial._restored)
        for node in range(1 + len(nodes.others))
        for rank in range(here)
    ]
    try:
        for member in members[:here]:
            ours, theirs = context.Pipe()
            process = context.Process(target=_train, args=(member, theirs, worker, arguments))
            process.start()
            theirs.close()
            group.add(process, ours)
        if nodes.others:
            group.add_far(nodes, members[here:], worker, arguments)
        group.serve()
    finally:
        group.kill()


@dataclass(frozen=True)
class _Member:
    """One of the processes, ``local_rank`` of the ``here`` on its node, and the trial that it trains."""

    node: int
    local_rank: int
    here: int
    nodes: int
    host: str
    port: int
    plan: Plan
    restored: bool

    @property
    def rank(self) -> int:
        return self.node * self.here + self.local_rank

    @property
    def count(self) -> int:
        return self.nodes * self.here

    @property
    def device(self) -> str:
        return self.plan.device if self.plan.device == "cpu" else f"cuda:{self.local_rank}"

    def environment(self) -> dict[str, str]:
        """What torch's rendezvous reads; `torchrun` sets it too."""
        return {
            "RANK": str(self.rank),
            "LOCAL_RANK": str(self.local_rank),
            "GROUP_RANK": str(self.node),
            "WORLD_SIZE": str(self.count),
            "LOCAL_WORLD_SIZE": str(self.here),
            "GROUP_WORLD_SIZE": str(self.nodes),
            "MASTER_ADDR": self.host,
            "MASTER_PORT": str(self.port),
            # The store is there already.
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RESTART_COUNT": "0",
        }


class _Group:
    """The processes of a trial, as the process that started them sees them.

    Args:
        link: What is behind the trial.
        patience: Seconds for the processes to end once they are told to stop.
    """

    def __init__(self, link: Link, patience: float) -> None:
        self._link = link
        self._patience = patience
        self._processes: list[SpawnProcess | FarProcess] = []
        self._pipes: list[Connection[Any, Any]] = []
        self._others: Sequence[OtherNode] = ()
        self._restored: Any = None
        self._deadline = math.inf

    def add(self, process: SpawnProcess | FarProcess, pipe: Connection[Any, Any]) -> None:
        self._processes.append(process)
        self._pipes.append(pipe)

    def add_far(
        self, nodes: Nodes, members: Sequence[_Member], worker: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        """Starts processes on other nodes and waits until all have reported.

        Raises:
            ChildProcessError: One died before.
            ProcessLostError: A node is gone.
        """
        self._others = nodes.others
        door = Door(nodes.host)
        try:
            for number, node in enumerate(nodes.others, start=1):
                mine = [member for member in members if member.node == number]
                node.start([pickle.dumps((each, door.address, door.key, worker, arguments)) for each in mine])
            arrived: dict[int, Connection[Any, Any]] = {}
            while len(arrived) < len(members):
                arrived |= [entry] if (entry := door.admit()) else []
                for member in members:
                    process = FarProcess(nodes.others[member.node - 1], member.local_rank)
                    if member.rank not in arrived and (code := process.exitcode) is not None:
                        raise ChildProcessError(f"process {member.rank} of {member.count} died: {_how(code)}")
        finally:
            door.close()
        for member in members:
            self.add(FarProcess(nodes.others[member.node - 1], member.local_rank), arrived[member.rank])

    def serve(self) -> None:
        """Answers the processes until all have returned, or until those that were told to stop have had their time."""
        running = set(range(len(self._processes)))
        while running and (left := self._deadline - time.monotonic()) > 0:
            left = min(left, LOOK_EVERY if self._others else math.inf)
            for node in self._others:
                # A machine that loses its power says nothing.
                node.exit_codes()
            for pipe in connection.wait([self._pipes[rank] for rank in running], None if math.isinf(left) else left):
                rank = self._pipes.index(pipe)  # type: ignore[arg-type]
                message = self._received(rank)
                if message[0] == "returned":
                    running.discard(rank)
                else:
                    self._answer(rank, *message)

    def kill(self) -> None:
        """Ends all processes, those that have not reported yet too."""
        for each in (*self._processes, *self._others):
            each.kill()
        for process, pipe in zip(self._processes, self._pipes, strict=True):
            process.join()
            pipe.close()

    def _received(self, rank: int) -> Any:
        try:
            return self._pipes[rank].recv()
        except (EOFError, ConnectionError):
            raise self._death(rank) from None

    def _answer(self, rank: int, kind: str, *content: Any) -> None:
        if kind == "report":
            goes_on = self._link.report(*content)
            self._deadline = math.inf if goes_on else time.monotonic() + self._patience
            for other in range(len(self._pipes)):
                self._send(other, ("verdict", content[0], goes_on))
        elif kind == "save":
            self._save(rank, *content)
        elif kind == "restore":
            self._restored = self._restored or packed(self._link.restore())
            self._send(rank, ("restored", self._restored))
        else:
            self._raise(*content)

    def _save(self, rank: int, step: int) -> None:
        wanted = False

        def content() -> Any:
            nonlocal wanted
            wanted = True
            self._send(rank, ("wanted", True))
            return self._received(rank)

        self._link.save(step, content)
        if not wanted:
            self._send(rank, ("wanted", False))

    def _send(self, rank: int, message: tuple[Any, ...]) -> None:
        # One that has gone is noticed when it is read from.
        with suppress(OSError):
            self._pipes[rank].send(message)

    def _death(self, rank: int) -> Exception:
        process = self._processes[rank]
        process.join()
        return ChildProcessError(f"process {rank} of {len(self._processes)} died: {_how(process.exitcode or 0)}")

    def _raise(self, error: bytes, text: str) -> None:
        """Raises a process's error, or tells the death of another of which that error is the consequence."""
        deadline = time.monotonic() + _SOON
        for rank, process in enumerate(self._processes):
            process.join(max(0.0, deadline - time.monotonic()))
            # One that has told its error ends with 0.
            if process.exitcode:
                raise self._death(rank)
        raised: BaseException = pickle.loads(error)
        raised.add_note(text)
        raise raised


class _Pipe(Link):
    """What is behind the trial of one of the processes: the process that started it."""

    def __init__(self, pipe: Connection[Any, Any], rank: int) -> None:
        self.leads = rank == 0
        self._pipe = pipe
        self._verdicts: dict[int, bool] = {}
        self._stopped = False

    def report(self, step: int, point: Mapping[str, float] | None) -> bool:
        if self.leads:
            self._pipe.send(("report", step, point))
        while step not in self._verdicts:
            self._receive()
        self._stopped = not self._verdicts.pop(step)
        return not self._stopped

    def save(self, step: int, content: Callable[[], Any]) -> None:
        if self.leads:
            self._pipe.send(("save", step))
            if self._receive("wanted"):
                self._pipe.send(packed(content()))

    def restore(self) -> Any:
        self._pipe.send(("restore",))
        return unpacked(self._receive("restored"))

    def check(self) -> None:
        if self._stopped:
            raise TrialEnded("the trial has ended; return where trial.report is false")

    def _receive(self, kind: str = "verdict") -> Any:
        """The next message of a kind; verdicts are kept until their report comes."""
        while True:
            try:
                message = self._pipe.recv()
            except EOFError:
                os._exit(1)
            if message[0] == "verdict":
                self._verdicts[message[1]] = message[2]
            if message[0] == kind:
                return message[1]


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def work(job: bytes) -> None:
    """One of the processes, on another node than the trial's own."""
    member, address, key, worker, arguments = pickle.loads(job)
    _train(member, reported(address, key, member.rank), worker, arguments)


def _train(member: _Member, pipe: Connection[Any, Any], worker: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """One of the processes."""
    # Ctrl-C is for the process that started it, with which it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(member.environment())
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // member.here))
    if member.device != "cpu":
        torch.cuda.set_device(member.device)
    seed_generators(member.plan.seed)
    plan = replace(member.plan, device=member.device)
    try:
        worker(Trial(plan, _Pipe(pipe, member.rank), member.restored), *arguments)
    except TrialEnded:
        pass
    except BaseException as error:
        pipe.send(("raised", _pickled(error), f"In process {member.rank} of {member.count}:\n{traceback.format_exc()}"))
        return
    pipe.send(("returned",))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "it was started by another process"
    parent.join()
    os._exit(1)


def _pickled(error: BaseException) -> bytes:
    """An error as it is sent; one that cannot be pickled keeps its name and message."""
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return content
