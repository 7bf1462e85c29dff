"""An assignment of the collection: a program, what is wanted of it, and the change that does it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import yaml

from worktrain.cli.run import task_of
from worktrain.contracts.artifact import SlicePlan
from worktrain.contracts.base import Authored
from worktrain.contracts.task import Task

COLLECTION = Path(__file__).parent / "collection"


class Edit(Authored):
    """Replace what occurs exactly once."""

    edit: str
    old: str
    new: str

    @property
    def path(self) -> str:
        return self.edit


class Write(Authored):
    """Make a file, or replace it as a whole."""

    write: str
    content: str

    @property
    def path(self) -> str:
        return self.write


Change = Edit | Write


class Criterion(Authored):
    """An acceptance criterion with what meets and what shows it."""

    id: str
    statement: str = ""
    """Empty where WorkTrain words it, for a fault that was investigated."""
    code: tuple[str, ...]
    tests: tuple[str, ...]


class Piece(Authored):
    """Something that one session changes, and what it says of it."""

    subject: str
    decision: str
    change: tuple[Change, ...]


class Slice(Piece):
    id: str
    title: str
    goal: str
    files: tuple[str, ...]
    check: str
    dependsOn: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()

    @property
    def plan(self) -> SlicePlan:
        return SlicePlan.model_validate(
            self.model_dump(exclude={"subject", "decision", "change"}), extra="forbid"
        )


class Complaint(Authored):
    """A minor finding of the first review, and what settles it."""

    summary: str
    category: str
    file: str
    at: str
    """Part of the line in `file` that it is about."""
    why: str
    remedy: str
    seen: str
    """The command that showed it."""
    subject: str
    evidence: str
    change: tuple[Change, ...]


class Assignment(Authored):
    """A task of the collection, as its task.yaml says it; with slices it has no `change`."""

    name: str
    pipeline: Literal["quick", "bugfix", "feature"]
    """The one that WorkTrain has to choose."""
    type: Literal["feature", "bug-fix", "chore"]
    maturity: Literal["idea", "shaped", "specified"] = "idea"
    check: str = "python -m pytest -q -p no:cacheprovider"
    """How its tests are run, by everybody."""
    reads: tuple[str, ...]
    interpretation: str
    direction: str = ""
    criteria: tuple[Criterion, ...] = ()
    subject: str = ""
    decision: str = ""
    change: tuple[Change, ...] = ()
    slices: tuple[Slice, ...] = ()
    finding: Complaint | None = None

    @property
    def folder(self) -> Path:
        return COLLECTION / self.name

    @property
    def program(self) -> Path:
        return self.folder / "program"

    @property
    def issue(self) -> Path:
        return self.folder / "issue.md"

    @property
    def task(self) -> Task:
        return task_of(None, self.issue)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What is changed before the review, in an order in which it can be."""
        whole = Piece(subject=self.subject, decision=self.decision, change=self.change)
        return self.slices or (whole,)


def assignments(only: Sequence[str] = ()) -> tuple[Assignment, ...]:
    """The collection by name, or those of it that are named. Raises ValueError for an unknown
    name."""
    there = {one.name: one for one in _all()}
    if unknown := sorted(set(only) - set(there)):
        raise ValueError(f"there is no task {', '.join(unknown)}; there are {', '.join(there)}")
    return tuple(one for name, one in there.items() if not only or name in only)


def changed(files: dict[str, str], change: Sequence[Change]) -> dict[str, str]:
    """The files as they are after a change. Raises ValueError for an edit that fits not once."""
    files = dict(files)
    for one in change:
        if isinstance(one, Write):
            files[one.path] = one.content
            continue
        found = files.get(one.path, "").count(one.old)
        if found != 1:
            raise ValueError(f"{one.path} has {found} places like {one.old!r}")
        files[one.path] = files[one.path].replace(one.old, one.new)
    return files


NO_SOURCES = frozenset({".git", "__pycache__"})


def files_below(folder: Path) -> dict[str, str]:
    """Every source as text, by its path within the folder."""
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not NO_SOURCES.intersection(path.relative_to(folder).parts)
    }


def is_test(path: str) -> bool:
    """Whether a file of a program holds tests."""
    return Path(path).name.startswith("test_")


def _all() -> Iterator[Assignment]:
    for path in sorted(COLLECTION.glob("*/task.yaml")):
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        yield Assignment.model_validate({"name": path.parent.name, **said}, extra="forbid")
