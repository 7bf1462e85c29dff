"""The finding ledger: each finding has one identity over all rounds, however it is worded."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from worktrain.contracts.artifact import Disposition, Finding, ReviewVerdict, Severity
from worktrain.contracts.ledger import Entry, Ledger, Round, Standing

WEIGHT: Mapping[Severity, int] = {
    Severity.CRITICAL: 1000,
    Severity.MAJOR: 100,
    Severity.MINOR: 10,
    Severity.NIT: 1,
}
OPEN = frozenset({Standing.OPEN, Standing.FLAPPING})
ALIKE_MIN = 0.6
"""Share of the shorter claim's words that the other has, from which on both are one claim. The
pairs in the tests measure it: what was reworded keeps two thirds and more, what is another claim
about the same file has seldom more than half in common."""
SHARED_MIN = 2
"""A single word in common joins only claims that consist of it."""


def folded(ledger: Ledger, verdict: ReviewVerdict, session: str, tree: str) -> Ledger:
    """The ledger after one more verdict: what is new in it, still said, gone, or back."""
    said = _identified(ledger, verdict.findings)
    number = len(ledger.rounds) + 1
    before = {entry.id: entry for entry in ledger.entries}
    closed_at = {name: r.tree for r in ledger.rounds for name in r.closed}
    entries = (
        *(_after(e, said.get(e.id), number, closed_at.get(e.id) != tree) for e in before.values()),
        *(
            Entry(
                id=name,
                finding=finding,
                standing=Standing.OPEN,
                first_round=number,
                last_round=number,
            )
            for name, finding in said.items()
            if name not in before
        ),
    )
    newest = Round(
        number=number,
        session=session,
        tree=tree,
        opened=tuple(e.id for e in entries if e.id not in before),
        closed=tuple(e.id for e in before.values() if e.standing in OPEN and e.id not in said),
        still=tuple(e.id for e in before.values() if e.standing in OPEN and e.id in said),
        reopened=tuple(e.id for e in before.values() if e.standing not in OPEN and e.id in said),
        weight=sum(WEIGHT[e.finding.severity] for e in entries if e.standing in OPEN),
    )
    return Ledger(entries=entries, rounds=(*ledger.rounds, newest))


def answered(ledger: Ledger, dispositions: Sequence[Disposition]) -> Ledger:
    """The ledger with what a fixer says of its entries. Of one entry the last word counts, and
    an id that the ledger does not have is passed over."""
    newest = {disposition.finding: disposition for disposition in dispositions}
    entries = tuple(
        entry.model_copy(update={"disposition": newest.get(entry.id, entry.disposition)})
        for entry in ledger.entries
    )
    return ledger.model_copy(update={"entries": entries})


def open_entries(ledger: Ledger) -> tuple[Entry, ...]:
    """What is not settled, in the order of the ids; what came back is among it."""
    return tuple(entry for entry in ledger.entries if entry.standing in OPEN)


def gravest(ledger: Ledger) -> Severity | None:
    """Of what is open; None when nothing is."""
    severities = (entry.finding.severity for entry in open_entries(ledger))
    return max(severities, key=WEIGHT.__getitem__, default=None)


def progressed(ledger: Ledger) -> bool:
    """Whether the newest round left less weight open than the round before it.

    True as well where no fix lies between the two, so that nothing could get better: the first
    round, a second look at the same tree, and a round before that had nothing open.
    """
    if len(ledger.rounds) < 2:
        return True
    before, newest = ledger.rounds[-2:]
    nothing_to_mend = before.weight == 0 or before.tree == newest.tree
    return nothing_to_mend or newest.weight < before.weight


def flapping(ledger: Ledger, trees: Sequence[str]) -> tuple[str, ...]:
    """What goes round in circles, a sentence each; `trees` are all candidates' in order."""
    said = [
        f"{entry.id} was settled and came back, {_times(entry.reopened)} so far: "
        f"{entry.finding.summary}"
        for entry in ledger.entries
        if entry.standing is Standing.FLAPPING
    ]
    # A commit that changes nothing gives the same tree twice in a row; that is no circle.
    steps = [tree for tree, _ in groupby(trees)]
    if steps and steps[-1] in steps[:-1]:
        said.append(
            f"the newest change is the same as an earlier one again (tree {steps[-1][:12]}): "
            f"what was done since then was undone"
        )
    return tuple(said)


# --- one round ---------------------------------------------------------------------------------


def _after(entry: Entry, said: Finding | None, number: int, other_tree: bool) -> Entry:
    """An entry after a round in which it was said or not. `other_tree`: it is closed, and the
    change is another one since then."""
    is_open = entry.standing in OPEN
    if said is None:
        return entry.model_copy(update={"standing": _closed(entry)}) if is_open else entry
    again = {"finding": said, "last_round": number}
    if is_open:
        return entry.model_copy(update=again)
    if other_tree:
        back = {"standing": Standing.FLAPPING, "reopened": entry.reopened + 1}
        return entry.model_copy(update={**again, **back})
    # Two reviewers of one tree disagree: nobody undid anything.
    return entry.model_copy(update={**again, "standing": Standing.OPEN})


def _closed(entry: Entry) -> Standing:
    claimed = entry.disposition is not None and entry.disposition.outcome == "invalid"
    return Standing.INVALID if claimed else Standing.FIXED


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


# --- identity ----------------------------------------------------------------------------------


def _identified(ledger: Ledger, findings: Iterable[Finding]) -> dict[str, Finding]:
    """What this verdict says of each id; what no entry claims gets the next one."""
    entries = {entry.id: entry.finding for entry in ledger.entries}
    said: dict[str, Finding] = {}
    # What the reviewer itself identified goes first, so that no likeness takes its place.
    for finding in sorted(findings, key=lambda one: one.known not in entries):
        name = _name(finding, entries, said) or f"F{len(entries.keys() | said.keys()) + 1}"
        said[name] = _graver(said.get(name, finding), finding)
    return said


def _name(
    finding: Finding, entries: Mapping[str, Finding], said: Mapping[str, Finding]
) -> str | None:
    """The id that a finding belongs to: the reviewer's own word for it, else the likest claim."""
    known = finding.known
    # A second finding under one id is another one unless it says the same: none is swallowed.
    if (
        known
        and known in entries
        and (known not in said or likeness(finding, said[known]) >= ALIKE_MIN)
    ):
        return known
    alike = [
        (likeness(finding, other), name)
        for known_as in (entries, said)
        for name, other in known_as.items()
    ]
    score, name = max(alike, key=lambda pair: pair[0], default=(0.0, ""))
    return name if score >= ALIKE_MIN else None


def _graver(one: Finding, other: Finding) -> Finding:
    return other if WEIGHT[other.severity] > WEIGHT[one.severity] else one


def likeness(one: Finding, other: Finding) -> float:
    """How much two findings claim the same, 0 to 1: the share of the shorter claim's words that
    the other has. 0 when they are about different files, categories or names of code."""
    if _path(one) != _path(other):
        return 0.0
    categories = {one.findingCategory, other.findingCategory} - {None}
    if len(categories) > 1:
        return 0.0
    mine, theirs = claim_of(one), claim_of(other)
    if mine.words == theirs.words and mine.names == theirs.names:
        return 1.0
    if mine.names and theirs.names and not mine.names & theirs.names:
        return 0.0
    shared = len(mine.words & theirs.words)
    return shared / min(len(mine.words), len(theirs.words)) if shared >= SHARED_MIN else 0.0


@dataclass(frozen=True)
class Claim:
    """What a finding says, without how it says it."""

    words: frozenset[str]
    names: frozenset[str]
    """Parts of the code that it names."""


def claim_of(finding: Finding) -> Claim:
    """The words and names of a summary: no line numbers, no stop words, no place."""
    text = finding.summary
    path = _path(finding)
    for place in (path, path.rpartition("/")[2]):
        text = re.sub(rf"(?<![\w/]){re.escape(place)}(?!\w)", " ", text) if place else text
    names = (
        part
        for match in _NAME.finditer(text)
        for part in re.split(r"\W+", match.group().lower())
        if part
    )
    plain = _CAMEL.sub(r"\1 \2", text).lower()
    plain = _COMPOUND.sub(r"\1\2\3", _SHORTENED.sub("", plain))
    every = frozenset(_stem(word) for word in re.findall(r"[^\W_]+", plain))
    telling = frozenset(word for word in every - _STOP if not _NUMBER.fullmatch(word))
    return Claim(telling or every, frozenset(names))


_NAME = re.compile(
    r"`[^`\s]+`"  # marked as code
    r"|\b[A-Za-z_][\w.]*(?=\()"  # called
    r"|\b[A-Za-z]\w*_\w+\b"  # snake case
    r"|\b[a-z]+[A-Z]\w*\b"  # camel case
    r"|\b[A-Z][a-z]+[A-Z]\w*\b"
)
_CAMEL = re.compile(r"([a-z0-9])([A-Z])")
_SHORTENED = re.compile(r"n?['’](?:t|s|re|ve|ll|d)\b")
_COMPOUND = re.compile(r"\b([a-z]+)-(by|in|of|to)-([a-z]+)\b")
"""`off-by-one`: a claim of its own, made of words that say nothing."""
_NUMBER = re.compile(r"\d+|l\d+|f\d+")
"""Numbers, and references to lines and to entries of the ledger."""
_SUFFIX = re.compile(r"(?:[ai]bl[ey]|ions?|ings?|ly|ed|es|e|s|y)$")


def _path(finding: Finding) -> str:
    """The file of a finding, without what says where in it; empty for none."""
    path = re.sub(r"(?:[:#]L?\d+(?:-L?\d+)?)+$", "", finding.file or "")
    return path.removeprefix("./")


def _stem(word: str) -> str:
    """A word without the endings that rewording changes most; short words stay."""
    stem = re.sub(r"(?<=..)(.)\1$", r"\1", _SUFFIX.sub("", word))
    return stem if len(stem) >= 2 else word


_STOP = frozenset(
    _stem(word)
    for word in re.findall(
        r"\w+",
        "a about above after again all also an and any are as at be because been before being both "
        "but by ca can cannot could did do does doing each else even ever every for from get gets "
        "had has have having here how if in instead into is it its itself just let like line lines "
        "make makes many may might more most must no nor not now of off on once one only onto or "
        "other our out over own rather same shall should since so some still such than that the "
        "their them then there these they this those though through to too under until up upon "
        "very was we were what when where whether which while who whose why will with within wo "
        "without would yet you your "
        # Said in findings of every kind.
        "bug case code cover error file finding fix function issue lack method missing never "
        "problem test wrong",
    )
)
