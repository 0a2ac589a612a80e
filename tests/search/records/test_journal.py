"""The journal: what is appended is there, whatever happens to the process."""

from pathlib import Path

from phitune.search.records.journal import Journal
from phitune.search.records.record import Record, Trial


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
