"""What one phase is told of the earlier ones: typed handoffs, never their talk; only so much."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pydantic import BaseModel

from worktrain.contracts.artifact import (
    AuditReport,
    Classification,
    CodingHandoff,
    Design,
    DiscoveryHandoff,
    Handoff,
    Investigation,
    ReviewVerdict,
    ShapingHandoff,
)
from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.route import Phase
from worktrain.contracts.session import Section
from worktrain.coordinators import facts
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.compare import judge

TOLD: Mapping[Phase, tuple[type[BaseModel], ...]] = {
    Phase.CLASSIFY: (),
    Phase.DISCOVERY: (Classification,),
    Phase.SHAPING: (Classification, DiscoveryHandoff),
    Phase.INVESTIGATION: (Classification,),
    Phase.DESIGN: (DiscoveryHandoff, ShapingHandoff),
    Phase.CODING: (Classification, DiscoveryHandoff, ShapingHandoff, Investigation, Design),
    Phase.REBASE: (ShapingHandoff, CodingHandoff),
    Phase.REVIEW: (ShapingHandoff, Investigation, Design, CodingHandoff),
    Phase.FIX: (ShapingHandoff, Investigation, CodingHandoff, ReviewVerdict),
    Phase.AUDIT: (ShapingHandoff, CodingHandoff, ReviewVerdict),
    Phase.RETROSPECTIVE: (ShapingHandoff, CodingHandoff, ReviewVerdict),
}
"""Which artifacts a phase is told of, oldest first; of each kind the newest."""

TITLES: Mapping[type[BaseModel], str] = {
    Classification: "What the task is taken to ask for, and of what kind it is",
    DiscoveryHandoff: "What discovery found",
    ShapingHandoff: "What is to be built, and what must be true at the end",
    Investigation: "What the investigation found",
    Design: "The design",
    CodingHandoff: "What the coder says about the change",
    ReviewVerdict: "What the reviewer found",
    AuditReport: "What the audit found",
}

CHARACTERS_MAX: Mapping[Phase, int] = {
    Phase.CLASSIFY: 4_000,
    Phase.DISCOVERY: 8_000,
    Phase.SHAPING: 12_000,
    Phase.INVESTIGATION: 8_000,
    Phase.DESIGN: 16_000,
    Phase.CODING: 24_000,
    Phase.REBASE: 16_000,
    Phase.REVIEW: 24_000,
    Phase.FIX: 32_000,
    Phase.AUDIT: 16_000,
    Phase.RETROSPECTIVE: 16_000,
}
"""Of all sections together; what does not fit is left out whole, the least important first."""

Part = tuple[int, str, Callable[[PipelineState], str]]
MUST, GOOD, SPARE = 0, 1, 2
"""How important a section is: the contract of the phase, what helps, what may be missing."""

PARTS: Mapping[Phase, tuple[Part, ...]] = {
    Phase.CLASSIFY: ((SPARE, "What earlier work here taught", lambda s: facts.lessons(s)),),
    Phase.DISCOVERY: ((SPARE, "What earlier work here taught", lambda s: facts.lessons(s)),),
    Phase.SHAPING: (),
    Phase.INVESTIGATION: ((SPARE, "What earlier work here taught", lambda s: facts.lessons(s)),),
    Phase.DESIGN: (),
    Phase.CODING: (
        (MUST, "Acceptance criteria", lambda s: facts.criteria(s)),
        (SPARE, "What earlier work here taught", lambda s: facts.lessons(s)),
    ),
    Phase.REBASE: (
        (MUST, "Acceptance criteria", lambda s: facts.criteria(s)),
        (MUST, "Where it conflicts", lambda s: "\n".join(s.rebasing)),
    ),
    Phase.REVIEW: (
        (MUST, "Acceptance criteria", lambda s: facts.criteria(s)),
        (MUST, "Findings so far, and what became of them", lambda s: facts.findings(s)),
        (GOOD, "What WorkTrain saw of this change itself", lambda s: facts.packet(s)),
    ),
    Phase.FIX: (
        (MUST, "Acceptance criteria", lambda s: facts.criteria(s)),
        (MUST, "Findings so far, and what became of them", lambda s: facts.findings(s)),
        (MUST, "What has to be settled beside the findings", lambda s: facts.deficits(s)),
        (GOOD, "What the checks said on this change", lambda s: facts.failed_checks(s)),
    ),
    Phase.AUDIT: ((GOOD, "What WorkTrain saw of this change itself", lambda s: facts.packet(s)),),
    Phase.RETROSPECTIVE: (
        (MUST, "What happened", lambda s: facts.course(s)),
        (GOOD, "Findings so far, and what became of them", lambda s: facts.findings(s)),
    ),
}
"""What a phase is told beside artifacts: facts that WorkTrain found out itself."""


def told_to(phase: Phase, state: PipelineState, told: str = "") -> tuple[Section, ...]:
    """The sections for a phase, cut to its budget at their borders.

    What was left out for length is named in a last section, so that it is seen in the record of
    what the session was told.
    """
    parts = [(rank, Section(title=title, body=body)) for rank, title, body in _parts(phase, state)]
    for title, body in (
        ("What happened to the session before this one", state.hint),
        ("What people said", "\n".join(f"- {word}" for word in state.words)),
        ("What exactly this session is for", told),
    ):
        if body:
            parts.append((MUST, Section(title=title, body=body)))
    kept, dropped = _fitting(parts, CHARACTERS_MAX[phase])
    if dropped:
        body = "\n".join(f"- {title}" for title in dropped)
        kept = (*kept, Section(title="Left out for its length", body=body))
    return kept


def _parts(phase: Phase, state: PipelineState) -> Iterator[tuple[int, str, str]]:
    for kind in TOLD[phase]:
        found = newest(state.artifacts, kind)
        if found is not None:
            yield GOOD, TITLES[kind], found.model_dump_json(indent=1, exclude_defaults=True)
    for rank, title, body in PARTS[phase]:
        if text := body(state):
            yield rank, title, text


def _fitting(
    parts: Sequence[tuple[int, Section]], most: int
) -> tuple[tuple[Section, ...], tuple[str, ...]]:
    """The sections that fit, in their order; titles of those that do not. A section that must be
    there is never left out: it is cut instead, saying so."""
    left = most
    kept: set[int] = set()
    # The important ones first; among equals the later one, which is the newer.
    for index in sorted(range(len(parts)), key=lambda i: (parts[i][0], -i)):
        rank, section = parts[index]
        if len(section.body) <= left or rank == MUST:
            kept.add(index)
            left -= len(section.body)
    sections = tuple(
        _cut(section, most) for index, (_, section) in enumerate(parts) if index in kept
    )
    return sections, tuple(s.title for i, (_, s) in enumerate(parts) if i not in kept)


def _cut(section: Section, most: int) -> Section:
    if len(section.body) <= most:
        return section
    shown = section.body[:most].rpartition("\n")[0] or section.body[:most]
    lost = len(section.body) - len(shown)
    return section.model_copy(update={"body": f"{shown}\n[{lost} more characters were cut]"})


# --- the first edition -------------------------------------------------------------------------

FIRST_EDITION: Mapping[Phase, tuple[type[Handoff], ...]] = {
    Phase.DISCOVERY: (),
    Phase.SHAPING: (DiscoveryHandoff,),
    Phase.CODING: (DiscoveryHandoff, ShapingHandoff),
    Phase.REVIEW: (ShapingHandoff, CodingHandoff),
    Phase.FIX: (ShapingHandoff, CodingHandoff, ReviewVerdict),
}


def sections(phase: Phase, state: PipelineState) -> tuple[Section, ...]:
    """The handoffs for a phase of a pipeline of the first edition."""
    told = tuple(
        Section(title=TITLES[kind], body=found.model_dump_json(indent=1, exclude_defaults=True))
        for kind in FIRST_EDITION[phase]
        if (found := newest(state.artifacts, kind)) is not None
    )
    verification = state.verification
    if phase is Phase.FIX and verification and verification.candidate == state.candidate:
        judged = judge(verification)
        if not judged.passed:
            title = "What failed when the project's checks ran on this change"
            body = "\n\n".join((*judged.reasons, *facts.tails(verification)))
            told += (Section(title=title, body=body),)
    return told
