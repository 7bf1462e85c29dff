"""What a candidate changes, as facts: files, changed parts, added lines; all of it bounded."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Literal

from worktrain.adapters.workspaces.git import printable
from worktrain.adapters.workspaces.repository import Repository
from worktrain.contracts.examination import AddedLine, Changes, FileChange
from worktrain.contracts.failure import AdapterError, FailureKind

LINES_OF_A_FILE_MAX = 2_000
LINES_MAX = 20_000
LINE_CHARACTERS_MAX = 2_000
HUNKS_MAX = 200
PATCH_BYTES_MAX = 16_000_000

_STATUS: dict[str, Literal["added", "modified", "deleted", "renamed"]] = {
    "A": "added",
    "M": "modified",
    "D": "deleted",
    "R": "renamed",
    "T": "modified",
}
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
# The same on both calls, so that they answer with the same files in the same order.
_FLAGS = (
    "-r",
    "-M",
    "-l1000",
    "--no-ext-diff",
    "--no-textconv",
    "--submodule=short",
    "--ignore-submodules=none",
)
_CONFIG = ("core.bigFileThreshold=8m", "core.attributesFile=/dev/null")


@dataclass
class Part:
    """One changed file, before its lines are bounded."""

    path: str
    status: Literal["added", "modified", "deleted", "renamed"]
    was: str = ""
    added: int = 0
    removed: int = 0
    sections: int = 1
    """How many sections of the patch are about it."""
    hunks: list[tuple[int, int]] = field(default_factory=list)
    lines: list[AddedLine] = field(default_factory=list)
    unread: str = ""


async def changes(found: Repository, base: str, candidate: str) -> Changes:
    """Against the point where the candidate left the base, so that what the base has gained
    since is not taken for this change's doing."""
    at, to = await found.commit(base), await found.commit(candidate)
    doing = f"Comparing {at.commit} with {to.commit}"
    fork = await found.git.attempt(found.at, "merge-base", at.commit, to.commit, doing=doing)
    ends = (fork.text.strip() or at.commit, to.commit)
    # No attributes are consulted, and git would look for some in the owner's index: one of them
    # could declare the candidate's own code binary.
    env = {"GIT_INDEX_FILE": str(found.common / "worktrain-no-index"), "GIT_ATTR_NOSYSTEM": "1"}
    diff = ("diff-tree", *_FLAGS)
    listed = await found.git.run(
        found.at, *diff, "-z", "--raw", "--numstat", *ends, doing=doing, config=_CONFIG, env=env
    )
    parts = _listed(listed)
    patch = await found.git.attempt(
        found.at,
        *diff,
        "-p",
        "-U0",
        *ends,
        doing=doing,
        config=_CONFIG,
        env=env,
        out_bytes_max=PATCH_BYTES_MAX,
    )
    if patch.code != 0:
        raise found.git.failed(patch, FailureKind.CONFLICT, doing)
    if not await asyncio.to_thread(_read, parts, patch.out, patch.cut):
        raise AdapterError(
            FailureKind.CONFLICT,
            f"{doing}: git listed other files than its patch has; run `git fsck` in "
            f"{found.common}.",
        )
    return collected(parts)


def collected(parts: Iterable[Part]) -> Changes:
    """The parts as one value. Files with few lines come first where not all can be kept, so
    that one with many cannot crowd out the others."""
    ordered = sorted(parts, key=lambda part: (part.path, part.was))
    added: dict[str, tuple[AddedLine, ...]] = {}
    unread: dict[str, str] = {}
    room = LINES_MAX
    for part in sorted(ordered, key=lambda part: part.added):
        kept = part.lines[: min(LINES_OF_A_FILE_MAX, room)]
        room -= len(kept)
        if kept:
            # Two paths that are no text may be written alike.
            added[part.path] = (*added.get(part.path, ()), *map(_shortened, kept))
        why = part.unread
        if not why and len(kept) < len(part.lines):
            why = f"{len(part.lines) - len(kept)} of {len(part.lines)} added lines: too many"
        if not why and any(len(line.text) > LINE_CHARACTERS_MAX for line in kept):
            why = f"what follows in lines of more than {LINE_CHARACTERS_MAX:,} characters"
        if why:
            unread[part.path] = why
    return Changes(
        files=tuple(map(_change, ordered)),
        added={part.path: added[part.path] for part in ordered if part.path in added},
        unread=dict(sorted(unread.items())),
    )


def compared(old: Mapping[str, str], new: Mapping[str, str]) -> list[Part]:
    """The parts between two trees of texts; a file that moved without a change was renamed."""
    gone = {path: content for path, content in old.items() if path not in new}
    parts = []
    for path in sorted(path for path in new if new[path] != old.get(path)):
        status: Literal["added", "modified", "renamed"]
        was = next((name for name in sorted(gone) if gone[name] == new[path]), "")
        if path in old:
            status, was = "modified", ""
        else:
            status = "renamed" if was else "added"
            gone.pop(was, None)
        before = new[path] if status == "renamed" else old.get(path, "")
        parts.append(_between(Part(path, status, was), before, new[path]))
    return [*parts, *(_between(Part(path, "deleted"), gone[path], "") for path in sorted(gone))]


def _between(part: Part, before: str, after: str) -> Part:
    if "\0" in before + after:
        part.unread = "" if part.status == "deleted" else "binary, or larger than 8 MB"
        return part
    old, new = _rows(before), _rows(after)
    for what, old_from, old_to, start, end in SequenceMatcher(None, old, new, False).get_opcodes():
        if what == "equal":
            continue
        part.removed += old_to - old_from
        part.added += end - start
        if part.status != "deleted":
            part.hunks.append((max(start + (end > start), 1), max(end, 1)))
        part.lines += [AddedLine(line=at + 1, text=new[at]) for at in range(start, end)]
    return part


def _rows(text: str) -> list[str]:
    return [row.removesuffix("\r") for row in text.removesuffix("\n").split("\n")] if text else []


def _change(part: Part) -> FileChange:
    hunks = part.hunks
    if len(hunks) > HUNKS_MAX:
        # Nothing is left out: the last of them reaches over all that follow.
        hunks = [*hunks[: HUNKS_MAX - 1], (hunks[HUNKS_MAX - 1][0], hunks[-1][1])]
    return FileChange(
        path=part.path,
        status=part.status,
        added=part.added,
        removed=part.removed,
        hunks=tuple(hunks),
        was=part.was,
    )


def _shortened(line: AddedLine) -> AddedLine:
    if len(line.text) <= LINE_CHARACTERS_MAX:
        return line
    return AddedLine(line=line.line, text=line.text[:LINE_CHARACTERS_MAX])


def _listed(listed: str) -> list[Part]:
    """The files in git's order, from its raw lines and those of --numstat, NUL-separated."""
    words = iter(listed.split("\0"))
    parts: list[Part] = []
    counts: list[tuple[str, str]] = []
    for word in words:
        if word.startswith(":"):
            status = word.rpartition(" ")[2][:1]
            was = printable(next(words)) if status == "R" else ""
            part = Part(path=printable(next(words)), status=_STATUS[status], was=was)
            # What turned from a file into a link, say, is shown as taken away and as added.
            part.sections = 2 if status == "T" else 1
            parts.append(part)
        elif word:
            plus, minus, path = word.split("\t", 2)
            if not path:
                next(words), next(words)
            counts.append((plus, minus))
    for part, (plus, minus) in zip(parts, counts, strict=True):
        if plus == "-":
            part.unread = "" if part.status == "deleted" else "binary, or larger than 8 MB"
        else:
            part.added, part.removed = int(plus), int(minus)
    return parts


def _read(parts: Sequence[Part], patch: bytes, cut: bool) -> bool:
    """Put the patch's changed parts and lines into the files. False when they do not fit."""
    lines = iter(patch.split(b"\n"))
    wanted: Iterator[Part] = (part for part in parts for _ in range(part.sections))
    part: Part | None = None
    # A file's own line is read by the count that its part begins with, never by what it says.
    for line in lines:
        if line.startswith(b"diff --git "):
            part = next(wanted, None)
            if part is None:
                return False
        elif part is not None and (hunk := _HUNK.match(line)):
            _take(part, hunk, lines)
    left = list(wanted)
    if left and not cut:
        return False
    for missed in [*([part] if cut and part else []), *left]:
        missed.lines.clear()
        if missed.status != "deleted":
            missed.unread = missed.unread or "the whole change is too large to be read"
    return True


def _take(part: Part, hunk: re.Match[bytes], lines: Iterator[bytes]) -> None:
    # A count that is left out is 1.
    removed, start, added = (1 if count is None else int(count) for count in hunk.groups())
    for _ in range(removed):
        next(lines, None)
    if part.status != "deleted":
        part.hunks.append((max(start, 1), max(start + added - 1, start, 1)))
    at = start
    while at < start + added:
        line = next(lines, None)
        if line is None:
            return
        if line.startswith(b"+"):
            text = line[1:].decode("utf-8", "replace").removesuffix("\r")
            part.lines.append(AddedLine(line=at, text=text))
            at += 1
