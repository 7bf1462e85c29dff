"""Folders in folders."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Folder:
    name: str
    below: tuple["Folder", ...] = ()


def depth(folder: Folder) -> int:
    """How many folders stand above each other, this one counted."""
    return 1 + max(depth(inner) for inner in folder.below)


def names(folder: Folder) -> list[str]:
    """Every name, a folder's own before those below it."""
    return [folder.name, *(name for inner in folder.below for name in names(inner))]
