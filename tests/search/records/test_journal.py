"""The journal: what is appended is there, whatever happens to the process."""

from pathlib import Path

import pytest

from phitune.search.records.journal import Follower, Journal, VerdictLog
from phitune.search.records.record import Record, Trial, Verdict
from phitune.trainables.errors import InputError

GARBAGE = [b"garbage", b"{}", b"[1, 2]", b"17", b'{"trial": {}}', b"\xff\xfe", b"\0\0\0", b'{"trial_id": "c/explore-']


def record(number: int) -> Record:
    trial = Trial(f"c/explore-{number:04d}", "c", "explore", number, "uba", {"family": "uba", "phi": 0.1}, 0.3, 0.2, 5)
    return Record(trial, "stopped", 7, [(5, 0.25)], [{"step": 5, "val_loss": 0.3}], {"val_loss": 0.3}, 1.5, 0.25)


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "trials.jsonl")
    for number in range(3):
        journal.append(record(number))
    again = Journal(tmp_path / "trials.jsonl")
    assert [r.trial for r in again.records] == [record(n).trial for n in range(3)]
    assert [list(map(tuple, r.rungs)) for r in again.records] == [[(5, 0.25)]] * 3


def test_a_torn_last_line_is_cut_off_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    journal = Journal(path)
    journal.append(record(0))
    journal.append(record(1))
    content = path.read_bytes()
    for length in range(len(content) // 2 + 1, len(content) - 1, 97):
        path.write_bytes(content[:length])
        torn = Journal(path)
        assert [r.trial.number for r in torn.records] == [0]
        torn.append(record(2))
        assert [r.trial.number for r in Journal(path).records] == [0, 2]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    """As an editor leaves it."""
    path = tmp_path / "trials.jsonl"
    for number in range(2):
        Journal(path).append(record(number))
    path.write_bytes(path.read_bytes()[:-1])
    Journal(path).append(record(2))
    assert [r.trial.number for r in Journal(path).records] == [0, 1, 2]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_damaged_record_is_named_with_its_line(tmp_path: Path, garbage: bytes, place: int) -> None:
    path = tmp_path / "trials.jsonl"
    for number in range(3):
        Journal(path).append(record(number))
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:place], garbage, *lines[place:], b""]))
    for read in (Journal, lambda damaged: Follower(damaged).read()):
        with pytest.raises(InputError, match=rf"trials\.jsonl: line {place + 1} is damaged") as refusal:
            read(path)
        assert "\n" not in str(refusal.value)


def test_blank_lines_and_doubled_records_count_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    for number in range(3):
        Journal(path).append(record(number))
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], b"", lines[0], b"  ", *lines[1:], b"", b""]))
    assert [r.trial.number for r in Journal(path).records] == [0, 1, 2]


def test_a_follower_counts_lines_from_the_files_first(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    journal, follower = Journal(path), Follower(path)
    journal.append(record(0))
    assert len(follower.read()) == 1
    with path.open("ab") as file:
        file.write(b"\ngarbage\n")
    with pytest.raises(InputError, match="line 3 is damaged"):
        follower.read()


@pytest.mark.parametrize("garbage", [*GARBAGE, b'{"rung": 0}'])
def test_a_damaged_verdict_is_left_out_and_its_line_is_known(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "rungs.jsonl"
    verdicts = [Verdict(f"c/explore-{number:04d}", "c", "uba", 1, 0.5, True) for number in range(3)]
    for verdict in verdicts:
        VerdictLog(path).append(verdict)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], b"", garbage, *lines[1:], b""]))
    log = VerdictLog(path)
    assert (log.verdicts, log.damaged) == (verdicts, [3])


def test_verdicts_on_forgotten_trials_are_gone_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rungs.jsonl"
    verdicts = [Verdict(f"c/explore-{number % 2:04d}", "c", "uba", 1 + number, 0.5, True) for number in range(4)]
    for verdict in verdicts:
        VerdictLog(path).append(verdict)
    content, log = path.read_bytes(), VerdictLog(path)
    log.forget({"c/explore-0009"})
    assert path.read_bytes() == content
    log.forget({"c/explore-0001"})
    assert log.verdicts == VerdictLog(path).verdicts == verdicts[::2]
    log.forget({"c/explore-0000"})
    log.append(verdicts[1])
    assert VerdictLog(path).verdicts == [verdicts[1]]
