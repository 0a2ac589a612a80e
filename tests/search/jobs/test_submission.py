"""A job's command line for the head's shell, its package, and that neither holds credentials."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

from phitune.search.jobs.package import STUDY_FILE, package
from phitune.search.jobs.submission import Submission, out_on_head
from phitune.search.study.model import Study
from phitune.trainables.errors import InputError

STUDY = Study(name="s", workloads=["quadratic"])
# In the place of `python`: the shell's own view of the line is what counts.
SHOW = '#!/bin/sh\nprintf "%s\\n" "$MLFLOW_TRACKING_URI" "$PHITUNE_AGAIN" "$@"\n'


@pytest.mark.parametrize(
    ("out", "uri", "env", "expected_out", "expected_uri"),
    [
        (None, None, {}, "/ho me/phitune-runs/s", "sqlite:////ho me/phitune-runs/mlflow.db"),
        (None, None, {"MLFLOW_TRACKING_URI": "http://m/"}, "/ho me/phitune-runs/s", "http://m/"),
        ("~/a b/it's", None, {}, "/ho me/a b/it's", "sqlite:////ho me/a b/mlflow.db"),
        ("/data/$HOME/s/", None, {}, "/data/$HOME/s", "sqlite:////data/$HOME/mlflow.db"),
        ("a%20b/s", None, {}, "/ho me/a%20b/s", "sqlite+pysqlite:////ho me/a%2520b/mlflow.db"),
        ("/a?b#c/s", None, {}, "/a?b#c/s", "sqlite+pysqlite:////a%3Fb%23c/mlflow.db"),
        ("runs/x", "http://m:5000", {"MLFLOW_TRACKING_URI": "http://n"}, "/ho me/runs/x", "http://m:5000"),
    ],
)
def test_the_line_means_on_the_head_what_was_said_here(
    tmp_path: Path, out: str | None, uri: str | None, env: dict[str, str], expected_out: str, expected_uri: str
) -> None:
    (tmp_path / "python").write_text(SHOW)
    (tmp_path / "python").chmod(0o755)
    again = "phitune submit 'it is.yaml' --set \"trials=$3\""
    line = Submission(STUDY, out_on_head(out, "s"), uri, again).entrypoint
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/ho me", **env}
    shown = subprocess.run(["/bin/sh", "-c", line], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == [
        expected_uri,
        again,
        *["-m", "phitune", "search", STUDY_FILE, "--out", expected_out, "--address", "auto"],
    ]


@pytest.mark.parametrize(
    "uri",
    [
        "http://user:secret@mlflow:5000",
        "postgresql://user:sec/ret@db/mlflow",
        "postgresql://db/mlflow?user=me&password=secret",
        "sqlite:///mlflow.db",
        "mlruns",
    ],
)
def test_a_tracking_uri_that_would_be_seen_or_lost_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="tracking URI: ") as error:
        Submission(STUDY, PurePosixPath("s"), uri, "phitune submit")
    assert "sec" not in str(error.value).partition(";")[0].replace("password", "")


def test_the_package_is_the_users_modules_and_the_study(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    kept = ["own.py", "more/deep/data.csv", "linked/data.csv"]
    ignored = [
        "note.tmp",
        "more/note.tmp",
        "big/a.bin",
        "more/secret.txt",
        ".git/config",
        ".venv/x",
        "runs/s/study.json",
    ]
    ignored += ["mlruns/x", "more/__pycache__/own.pyc", ".phitune/study.yaml"]
    for name in [*(name for name in kept if not name.startswith("linked")), *ignored]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / ".gitignore").write_text("*.tmp\n/big/\n")
    (folder / "more/.rayignore").write_text("secret.txt\n")
    (folder / "linked").symlink_to(folder / "more/deep")
    (folder / "more/up").symlink_to(folder)

    package(folder, "name: s\n", tmp_path / "one.zip")
    with ZipFile(tmp_path / "one.zip") as zipped:
        assert set(zipped.namelist()) == {STUDY_FILE, ".gitignore", "more/.rayignore", *kept}
        assert zipped.read(STUDY_FILE) == b"name: s\n"
        assert zipped.read("own.py") == b"own.py"
    (folder / "own.py").touch()
    package(folder, "name: s\n", tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_folder_too_large_to_send_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with (folder / "data.bin").open("wb") as file:
        file.truncate(100_000_001)
    with pytest.raises(InputError, match=r"working directory: .* holds more than 100 MB"):
        package(folder, "name: s\n", tmp_path / "one.zip")
