"""Cache of the rows read from MLflow: a Parquet file beside study.json, so that only newly ended trials are read.

A cache that is missing, damaged, of another version or of another study is ignored.
"""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from phitune.analysis.results.table import read_parquet, write_parquet
from phitune.trainables.atomic import whole_file
from phitune.trainables.errors import InputError

CACHE_FILE = ".results.parquet"
FORMAT = 1
_KEY = "phitune"


@dataclass(frozen=True)
class CacheKey:
    """Identity of a cache; one with another key is ignored.

    Attributes:
        study: The study's name.
        tracking_uri: The tracking URI without credentials.
        parent: The parent run's id.
        format: Version of the file's format.
    """

    study: str
    tracking_uri: str
    parent: str
    format: int = FORMAT


def read_cache(folder: Path, key: CacheKey) -> tuple[pd.DataFrame, int | None] | None:
    """The cached rows and when the study had ended (ms since 1970; None if it was running); None without a valid cache.

    Args:
        folder: The study's output directory.
        key: The key that the cache must have.
    """
    try:
        described = pd.read_parquet(folder / CACHE_FILE, columns=[]).attrs.get(_KEY, {})
        if described.get("key") != asdict(key):
            return None
        table = read_parquet(folder / CACHE_FILE)
    except (InputError, OSError, ValueError, AttributeError):
        return None
    table.attrs = {}
    return table, described.get("ended")


def write_cache(folder: Path, key: CacheKey, table: pd.DataFrame, ended: int | None) -> None:
    """Write the cache, atomically; in a folder that cannot be written there is none."""
    described = table.copy(deep=False)
    described.attrs = {_KEY: {"key": asdict(key), "ended": ended}}
    with suppress(OSError), whole_file(folder / CACHE_FILE) as fresh:
        write_parquet(described, fresh)
