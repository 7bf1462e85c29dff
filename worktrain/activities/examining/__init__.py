"""Examining a change as WorkTrain itself sees it: files, marks, broken rules, sensitive lines."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

from worktrain.activities.door import implements
from worktrain.activities.examining.dependencies import is_manifest
from worktrain.activities.examining.marks import marks
from worktrain.activities.examining.rules import PYTHON, Rules
from worktrain.activities.examining.sensitive import sensitive
from worktrain.adapters.stores import Store
from worktrain.adapters.workspaces import Workspaces
from worktrain.contracts.calls import EXAMINE
from worktrain.contracts.examination import (
    Changes,
    Examination,
    ExamineRequest,
    FileChange,
    RuleBreak,
)
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.record import Seen

MARKS_MAX = 300
BREAKS_MAX = 300
SENSITIVE_MAX = 50
UNREAD_MAX = 300
BYTES_MAX = 400_000
"""Of one examination. It travels within the proof, and a payload above 2 MiB would be refused by
the server for ever."""
FILES_AT_ONCE = 50

Item = TypeVar("Item")


class ExaminingActivities:
    def __init__(self, store: Store, workspaces: Workspaces) -> None:
        self._store = store
        self._workspaces = workspaces

    @implements(EXAMINE)
    async def examine(self, request: ExamineRequest) -> Examination:
        """Look at every line that the candidate adds, and keep what was found for the proof."""
        base, candidate = request.base.commit, request.candidate.commit
        rules = Rules(request.rules)
        changes = await self._workspaces.changes(request.repo, base, candidate)
        manifests = [path for path in changes.added if is_manifest(path)]
        before = await self._workspaces.texts(request.repo, base, manifests)
        after = await self._workspaces.texts(request.repo, candidate, manifests)
        breaks = await self._breaks(request, rules, changes)
        found = await asyncio.to_thread(_examined, request, changes, breaks, before, after)
        key = f"examination/{base}/{candidate}"
        body = found.model_dump_json()
        await self._store.see(request.pipeline, Seen(key=key, kind="examination", body=body))
        return found

    async def _breaks(
        self, request: ExamineRequest, rules: Rules, changes: Changes
    ) -> list[RuleBreak]:
        if not request.rules:
            return []
        files = [one for one in changes.files if one.path in changes.added or one.was]
        found: list[RuleBreak] = []
        for begin in range(0, len(files), FILES_AT_ONCE):
            some = files[begin : begin + FILES_AT_ONCE]
            wanted = [one.path for one in some if one.was or one.path.endswith(PYTHON)]
            at = request.candidate.commit
            texts = await self._workspaces.texts(request.repo, at, wanted)
            found += await asyncio.to_thread(_broken, rules, changes, some, texts)
        return found


def _broken(
    rules: Rules, changes: Changes, files: Sequence[FileChange], texts: dict[str, str]
) -> list[RuleBreak]:
    return [
        one
        for file in files
        for one in rules.breaks(file, changes.added.get(file.path, ()), texts.get(file.path))
    ]


def _examined(
    request: ExamineRequest,
    changes: Changes,
    breaks: Sequence[RuleBreak],
    before: dict[str, str],
    after: dict[str, str],
) -> Examination:
    unread = [f"{path}: {why}" for path, why in changes.unread.items()]
    more: list[str] = []
    found = Examination(
        base=request.base,
        candidate=request.candidate,
        changes=changes.files,
        marks=_first(marks(changes), MARKS_MAX, "lines that put work off", more),
        breaks=_first(iter(breaks), BREAKS_MAX, "lines that break a rule", more),
        sensitive=_first(
            sensitive(changes, before, after),
            SENSITIVE_MAX,
            "lines that a person must agree to",
            more,
        ),
        unread=(*_first(iter(unread), UNREAD_MAX, "files that were not read", more), *more),
    )
    return _bounded(found)


def _first(items: Iterator[Item], count: int, what: str, more: list[str]) -> tuple[Item, ...]:
    """The first of them; how many are left out is added to `more`."""
    kept = tuple(islice(items, count))
    left_out = sum(1 for _ in items)
    if left_out:
        more.append(f"{left_out} further {what} are not listed")
    return kept


def _bounded(found: Examination) -> Examination:
    """Keep what may travel. The parts of each file become one that spans them all where they are
    too many; a change of more files than can be named is refused."""
    if _bytes(found) <= BYTES_MAX:
        return found
    spanned = tuple(
        one.model_copy(update={"hunks": ((one.hunks[0][0], one.hunks[-1][1]),)})
        if one.hunks
        else one
        for one in found.changes
    )
    whole = found.model_copy(update={"changes": spanned})
    if _bytes(whole) > BYTES_MAX:
        raise AdapterError(
            FailureKind.INVALID,
            f"Examining what {found.candidate.commit} changes: it touches {len(spanned):,} files, "
            "more than can be examined at a time; split the task into smaller ones.",
        )
    return whole


def _bytes(found: Examination) -> int:
    return len(found.model_dump_json().encode())
