"""Text as bytes: the files of a folder, and their splits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from phitune.trainables.workloads.base import Split


def text_files(root: Path, ending: str = "", excluded: frozenset[str] = frozenset()) -> Iterator[Path]:
    """The file ``root``, or the files in and below the folder ``root``; always in the same order.

    Args:
        root: May be missing; then there are none.
        ending: How names of files in the folder end.
        excluded: Names of folders to skip; hidden folders and files are skipped too.
    """
    if root.is_file():
        yield root
    for folder, folders, files in os.walk(root):
        # In place: os.walk descends into the folders that remain.
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in excluded)
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(ending) and not name.startswith("."))


def split_text(root: Path, files: Iterable[Path]) -> dict[Split, Tensor]:
    """90 % training, 5 % validation, 5 % test, by file, drawn by a checksum of its path below ``root``.

    Files of which a split would get less than 1 % of the bytes, so a single one, are joined and split by position.
    A file with a zero byte is not text and left out; a zero byte ends each file.

    Returns:
        Bytes, [n] each.
    """
    parts: dict[Split, list[bytes]] = {"train": [], "val": [], "test": []}
    for file in files:
        text = file.read_bytes()
        if b"\0" not in text:
            draw = int(sha256(file.relative_to(root).as_posix().encode()).hexdigest(), 16) % 100
            parts["train" if draw < 90 else "val" if draw < 95 else "test"].append(text)
    splits = {name: _joined(part) for name, part in parts.items()}
    total = sum(map(len, splits.values()))
    if min(map(len, splits.values())) >= total / 100:
        return splits
    whole = torch.cat(list(splits.values()))
    train, val = total * 90 // 100, total * 95 // 100
    return {"train": whole[:train], "val": whole[train:val], "test": whole[val:]}


def _joined(texts: list[bytes]) -> Tensor:
    joined = b"".join(text + b"\0" for text in texts)
    return torch.from_numpy(np.frombuffer(joined, dtype=np.uint8).copy())
