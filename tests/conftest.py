"""The command line as a user runs it, and how tests are shared out among workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest

from phitune.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]

# Small networks are fastest on one thread; more of them on a busy machine spin for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# A background job of a shell ignores SIGINT, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: Fixtures that take long to build. All tests that use one run on the same worker, whatever their module.
SHARED = ("searched", "study")
FIRST_STUDY = Path(__file__).parents[1] / "examples/02_first_study.yaml"
#: Seconds after which a command is taken for hung, however busy the machine is.
PATIENCE = 1200


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps a module, or the users of a shared fixture, on one worker; starts the long system tests first."""
    items.sort(key=lambda item: "system" not in item.path.parts)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            fixtures = getattr(item, "fixturenames", ())
            group = next((name for name in SHARED if name in fixtures), str(item.path))
            item.add_marker(pytest.mark.xdist_group(group))


def command(*arguments: str) -> list[str]:
    """The line that runs ``phitune ARGUMENTS`` in a process."""
    return [sys.executable, "-m", "phitune", *arguments]


def environment(**more: str) -> dict[str, str]:
    """The environment of every process that a test starts: this one's without MLflow's settings, and ``more``."""
    return {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")} | more


@pytest.fixture(scope="session")
def phitune() -> Run:
    """Runs ``phitune ARGUMENTS`` in a folder, with more in its environment; returns exit code and output."""

    def run(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            cwd=cwd,
            env=environment(**more),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return run


@pytest.fixture
def phitune_in_process(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same in this process, without the seconds of imports; for what ends before a search begins."""

    def run(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        with monkeypatch.context() as here, surroundings(environment(**more)), pytest.raises(SystemExit) as end:
            here.chdir(cwd)
            here.setattr(sys, "argv", ["phitune", *arguments])
            main()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, int(end.value.code or 0), out, err)

    return run


@pytest.fixture
def phitune_on_one_ray(phitune_in_process: Run) -> Iterator[Run]:
    """The same for searches in one folder; the first that needs Ray starts it, the others find it running."""
    import ray

    # Another test's would have another folder.
    ray.shutdown()
    yield phitune_in_process
    ray.shutdown()


@contextmanager
def surroundings(env: dict[str, str]) -> Iterator[None]:
    """Replaces the environment for a while; its variables and the handler of SIGTERM are restored at the end."""
    before, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    try:
        os.environ.clear()
        os.environ.update(env)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory, phitune: Run) -> Path:
    """A folder in which the study ``small``, example 02 by another name, was searched to its end."""
    folder = tmp_path_factory.mktemp("searched")
    study = FIRST_STUDY.read_text(encoding="utf-8").replace("name: first-study", "name: small")
    (folder / "small.yaml").write_text(study, encoding="utf-8")
    search = phitune("search", "small.yaml", cwd=folder)
    assert search.returncode == 0, search.stdout + search.stderr
    return folder


@pytest.fixture(scope="session")
def analysed(searched: Path, phitune: Run) -> Path:
    """The folder of the searched study, with its report in ``runs/small/report``."""
    analysis = phitune("analyze", "small", cwd=searched)
    assert analysis.returncode == 0, analysis.stdout + analysis.stderr
    assert "mlp/digits" in analysis.stdout
    return searched
