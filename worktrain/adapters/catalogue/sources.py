"""The files that specs are read from: the package's, the user's, and a repository's."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from worktrain.adapters.workspaces import Workspaces

SUFFIXES = (".yaml", ".yml", ".json")
FILES_MAX = 500
BYTES_MAX = 1_000_000
ALL_BYTES_MAX = 32_000_000

SPECS = ("workflows", ".workrail/workflows", ".worktrain/specs")
"""Folders of a repository, the one that counts most last."""
BINDINGS = (".workrail/bindings.json", ".worktrain/bindings.json")
"""What is bound in both is what the last one says."""
CONTRACTS = ".worktrain/contracts"

Kind = Literal["bundled", "user", "repository"]


@dataclass(frozen=True)
class File:
    path: str
    """As it is named to whoever wrote it."""
    text: str = ""
    problem: str = ""
    """Why its text was not read."""


@dataclass(frozen=True)
class Layer:
    """Files of one place. What lies in `routines/` below it are routines."""

    kind: Kind
    folder: str
    files: tuple[File, ...]
    left_out: int = 0
    """How many files it has beyond those that are read."""


@dataclass(frozen=True)
class Sources:
    """Everything that a catalogue is made of. Later layers count more than earlier ones."""

    layers: tuple[Layer, ...]
    bindings: tuple[File, ...] = ()
    contracts: Mapping[str, str] = field(default_factory=dict)
    """Texts by path."""


def bundled() -> Layer:
    """What comes with WorkTrain; prompts are no specs."""
    root = files("workflow_specs")
    found = [*_packaged(root, "workflow_specs"), *_packaged(root / "routines", ROUTINES)]
    return Layer("bundled", "workflow_specs", tuple(found))


ROUTINES = "workflow_specs/routines"


def of_user(folder: Path) -> Layer:
    """The user's own. Links in the folder are not followed, and told."""
    found = sorted(path for path in _walked(folder) if path.suffix.lower() in SUFFIXES)
    room = ALL_BYTES_MAX
    read: list[File] = []
    for path in found[:FILES_MAX]:
        file = _on_disk(path, room)
        room -= len(file.text)
        read.append(file)
    return Layer("user", str(folder), tuple(read), len(found) - len(read))


async def of_repository(workspaces: Workspaces, repo: str, commit: str) -> Sources:
    """What a repository holds as of a commit; links are not among its files."""
    sizes = await workspaces.files(repo, commit, (*SPECS, CONTRACTS))
    chosen = {folder: _chosen(sizes, folder) for folder in (*SPECS, CONTRACTS)}
    wanted, room = [], ALL_BYTES_MAX
    for path in (path for paths in chosen.values() for path in paths[:FILES_MAX]):
        if sizes[path] <= min(BYTES_MAX, room):
            room -= sizes[path]
            wanted.append(path)
    texts = await workspaces.texts(repo, commit, (*wanted, *BINDINGS))

    def file(path: str) -> File:
        return File(path, texts[path]) if path in texts else File(path, problem=_large(sizes[path]))

    return Sources(
        layers=tuple(
            Layer(
                "repository",
                folder,
                tuple(file(path) for path in chosen[folder][:FILES_MAX]),
                max(0, len(chosen[folder]) - FILES_MAX),
            )
            for folder in SPECS
        ),
        bindings=tuple(File(path, texts[path]) for path in BINDINGS if path in texts),
        contracts={path: texts[path] for path in chosen[CONTRACTS] if path in texts},
    )


def _chosen(sizes: Mapping[str, int], folder: str) -> list[str]:
    return [
        path for path in sizes if path.startswith(f"{folder}/") and path.lower().endswith(SUFFIXES)
    ]


def _packaged(folder: Traversable, name: str) -> Iterator[File]:
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.name.endswith(SUFFIXES):
            yield File(f"{name}/{entry.name}", entry.read_text(encoding="utf-8"))


def _walked(folder: Path) -> Iterator[Path]:
    for at, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(at) / name for name in names)


def _on_disk(path: Path, room: int) -> File:
    try:
        # What is no plain file could be waited on for ever, or lead elsewhere.
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        linked = path.is_symlink()
        why = "a link is not followed; put the file itself there" if linked else error.strerror
        return File(str(path), problem=f"it cannot be read: {why}")
    with open(opened, "rb") as file:
        about = os.fstat(opened)
        if not stat.S_ISREG(about.st_mode):
            return File(str(path), problem="it cannot be read: it is no plain file")
        if about.st_size > min(BYTES_MAX, room):
            return File(str(path), problem=_large(about.st_size))
        return File(str(path), file.read(BYTES_MAX).decode("utf-8", "replace"))


def _large(size: int) -> str:
    if size > BYTES_MAX:
        return f"it has {size:,} bytes, at most {BYTES_MAX:,} are read; split it"
    return f"the specs have more than {ALL_BYTES_MAX:,} bytes in all; remove some"
