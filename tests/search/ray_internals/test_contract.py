"""This Ray has everything of the private API that phitune uses; where it lacks something, one line says what."""

import pytest

from phitune.search.ray_internals.checks import OPTIONAL, missing
from phitune.search.ray_internals.processes import OwnProcesses
from phitune.search.ray_internals.touch import Touch, needed, require, require_stored
from phitune.trainables.errors import SurroundingsError


def test_this_ray_has_everything() -> None:
    assert missing() == []
    assert len(OPTIONAL) == 7
    import phitune.search.jobs.client
    import phitune.search.ray_internals.handshake  # noqa: F401


def test_what_is_missing_is_one_line_that_names_it() -> None:
    touch = Touch("trials take longer", lambda: require(pytest, "approx", "no_such_attribute"))
    assert "no_such_attribute" in touch.missing and touch.missing.endswith("; trials take longer")
    assert "\n" not in touch.missing
    stored = Touch("", lambda: require_stored(Touch.__init__, "_loss", "_cache"))
    assert "'_cache'" in stored.missing


def test_what_is_needed_ends_in_one_line() -> None:
    with pytest.raises(SurroundingsError, match=r"differs from the tested .*no_such_module.*constraints.txt"), needed():
        import phitune.no_such_module  # noqa: F401


def test_no_processes_where_ray_was_not_started() -> None:
    assert not OwnProcesses()
