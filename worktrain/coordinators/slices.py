"""Which slices may be coded side by side, and in which order they become one change."""

import re
from collections.abc import Iterator, Sequence

from worktrain.contracts.artifact import SlicePlan
from worktrain.contracts.pipeline import SliceWork
from worktrain.coordinators.scope import matches

_WILD = re.compile(r"[*?\[\]{}]")
_EXTENSION = re.compile(r"[*?].*(\.[a-z0-9]+)")
_UNREADABLE = re.compile(r"^[!~]|\\|(^|/)\.\.(/|$)")
"""Not a path inside of the repository, or in a notation of which it is not known what it means."""


def wave(slices: Sequence[SliceWork], at_once: int) -> tuple[SliceWork, ...]:
    """The slices whose coding can begin now, in the order of the plan.

    Their dependencies are integrated, no two of them touch the same files, nor does one touch those
    of a slice that is begun and not integrated; with those at work they are `at_once` at most.
    """
    integrated = {work.plan.id for work in slices if work.integrated}
    busy = [work for work in slices if work.session and not work.integrated]
    free = at_once - sum(work.committed is None for work in busy)
    begin: list[SliceWork] = []
    for work in slices:
        if len(begin) >= free:
            break
        if work.session or work.integrated or not integrated.issuperset(work.plan.dependsOn):
            continue
        if not any(overlap(work.plan, other.plan) for other in (*busy, *begin)):
            begin.append(work)
    return tuple(begin)


def next_to_integrate(slices: Sequence[SliceWork]) -> SliceWork | None:
    """The first slice that is committed and lacks nothing that it depends on."""
    integrated = {work.plan.id for work in slices if work.integrated}
    return next(
        (
            work
            for work in slices
            if work.committed and not work.integrated and integrated.issuperset(work.plan.dependsOn)
        ),
        None,
    )


def overlap(one: SlicePlan, other: SlicePlan) -> bool:
    """Whether a file may be changed by both. Each path or glob also stands for what is below it.

    In doubt they overlap: that costs some waiting, and the other mistake costs a conflict.
    """
    return any(_meet(mine, theirs) for mine in one.files for theirs in other.files)


def strayed(
    work: SliceWork, changed: Sequence[str], slices: Sequence[SliceWork]
) -> tuple[str, ...]:
    """The files that a slice changed although the plan gives them to other slices only."""
    others = [one.plan for one in slices if one.plan.id != work.plan.id]
    return tuple(
        path
        for path in changed
        if not _covers(work.plan, path) and any(_covers(other, path) for other in others)
    )


def _covers(plan: SlicePlan, path: str) -> bool:
    return matches(path, tuple(_with_what_is_below(plan.files)))


def _with_what_is_below(files: Sequence[str]) -> Iterator[str]:
    for file in files:
        bare = "/".join(_parts(file))
        yield from (bare, f"{bare}/**") if bare else ("**",)


def _meet(one: str, other: str) -> bool:
    """Whether some path is named by both. Takes time in proportion to their length, however many
    wildcards they have: they are written by a model."""
    # Some file systems do not tell upper from lower case.
    one, other = one.casefold(), other.casefold()
    if _UNREADABLE.search(one) or _UNREADABLE.search(other):
        return True
    ours, theirs = _parts(one), _parts(other)
    for mine, its in zip(ours, theirs, strict=False):
        if mine == "**" or its == "**":
            return not _of_different_kinds(ours[-1], theirs[-1])
        if not _same_name_possible(mine, its):
            return False
    return True


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _of_different_kinds(one: str, other: str) -> bool:
    """Such as `*.py` and `*.md`: patterns of files, not of folders that could hold the other."""
    mine, its = _EXTENSION.fullmatch(one), _EXTENSION.fullmatch(other)
    return mine is not None and its is not None and mine[1] != its[1]


def _same_name_possible(one: str, other: str) -> bool:
    """Whether one name can fit both, as far as what stands before and behind the wildcards says."""
    if not _WILD.search(one) and not _WILD.search(other):
        return one == other
    (begins, ends, least), (begins_too, ends_too, least_too) = _ends(one), _ends(other)
    if not _WILD.search(one) and len(one) < least_too:
        return False
    if not _WILD.search(other) and len(other) < least:
        return False
    return (begins.startswith(begins_too) or begins_too.startswith(begins)) and (
        ends.endswith(ends_too) or ends_too.endswith(ends)
    )


def _ends(name: str) -> tuple[str, str, int]:
    """What stands before the first wildcard, what behind the last, and both their lengths."""
    parts = _WILD.split(name)
    if len(parts) == 1:
        return name, name, len(name)
    return parts[0], parts[-1], len(parts[0]) + len(parts[-1])
