"""What a phase is told of the earlier ones: the right sections, and not more than fits."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.coordinators.conftest import (
    ONE,
    REPORT,
    F,
    P,
    artifact,
    check,
    examination,
    judged,
    opened,
    pipeline,
    ready,
    ref,
    verdict,
)
from tests.coordinators.conftest import verification as verified
from worktrain.contracts.artifact import CodingHandoff, Finding, ReviewVerdict, Severity
from worktrain.contracts.pipeline import End, PipelineEnding, PipelineState
from worktrain.contracts.route import Phase
from worktrain.contracts.session import Section
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.context import (
    CHARACTERS_MAX,
    FIRST_EDITION,
    MUST,
    PARTS,
    SPARE,
    TITLES,
    TOLD,
    sections,
    told_to,
)

LEFT_OUT = "Left out for its length"
HINT = "What happened to the session before this one"
WORDS = "What people said"
MISSION = "What exactly this session is for"
CRITERIA = "Acceptance criteria"
FINDINGS = "Findings so far, and what became of them"
PACKET = "What WorkTrain saw of this change itself"
LESSONS = "What earlier work here taught"
NO_SESSION = {Phase.MERGE, Phase.SESSION}

WRONG = Finding(severity=Severity.MAJOR, summary="The sum is wrong.", file="app/login.py")
ARTIFACTS = (
    artifact("wr.classification"),
    artifact("wr.discovery_handoff"),
    artifact("wr.shaping_handoff"),
    artifact("wr.investigation"),
    artifact("wr.design"),
    artifact("wr.coding_handoff"),
    verdict("minor"),
    artifact("wr.audit_report"),
)


def everything(**changes: Any) -> PipelineState:
    """A pipeline that has something to say to every phase."""
    facts: dict[str, Any] = {
        "opened": opened(lessons=("Run the slow tests too.",)),
        "artifacts": ARTIFACTS,
        "reviews": (judged(WRONG),),
        "verification": verified(check(P, F, tests=(("t::works",), ("t::other",)))),
        "rebasing": ("app/login.py", "app/mail.py"),
        "end": End(ending=PipelineEnding.MERGED, why="merged"),
    }
    return ready(**{**facts, **changes})


def titles(phase: Phase, state: PipelineState, told: str = "") -> list[str]:
    return [one.title for one in told_to(phase, state, told)]


SECTIONS: dict[Phase, list[str]] = {
    Phase.CLASSIFY: [LESSONS],
    Phase.DISCOVERY: ["wr.classification", LESSONS],
    Phase.SHAPING: ["wr.classification", "wr.discovery_handoff"],
    Phase.INVESTIGATION: ["wr.classification", LESSONS],
    Phase.DESIGN: ["wr.discovery_handoff", "wr.shaping_handoff"],
    Phase.CODING: [
        "wr.classification",
        "wr.discovery_handoff",
        "wr.shaping_handoff",
        "wr.investigation",
        "wr.design",
        CRITERIA,
        LESSONS,
    ],
    Phase.REBASE: ["wr.shaping_handoff", "wr.coding_handoff", CRITERIA, "Where it conflicts"],
    Phase.REVIEW: [
        "wr.shaping_handoff",
        "wr.investigation",
        "wr.design",
        "wr.coding_handoff",
        CRITERIA,
        FINDINGS,
        PACKET,
    ],
    Phase.FIX: [
        "wr.shaping_handoff",
        "wr.investigation",
        "wr.coding_handoff",
        "wr.review_verdict",
        CRITERIA,
        FINDINGS,
        "What has to be settled beside the findings",
        "What the checks said on this change",
    ],
    Phase.AUDIT: ["wr.shaping_handoff", "wr.coding_handoff", "wr.review_verdict", PACKET],
    Phase.RETROSPECTIVE: [
        "wr.shaping_handoff",
        "wr.coding_handoff",
        "wr.review_verdict",
        "What happened",
        FINDINGS,
    ],
}
"""By kind of artifact, or by title."""
BY_KIND = {kind.model_fields["kind"].default: title for kind, title in TITLES.items()}


def test_every_phase_with_a_session_of_a_pipeline_has_its_rows() -> None:
    assert set(TOLD) == set(PARTS) == set(CHARACTERS_MAX) == set(Phase) - NO_SESSION
    assert {kind for kinds in TOLD.values() for kind in kinds} <= set(TITLES)


@pytest.mark.parametrize("phase", TOLD)
def test_a_phase_is_told_what_it_builds_on_and_nothing_else(phase: Phase) -> None:
    found = told_to(phase, everything())
    assert [one.title for one in found] == [BY_KIND.get(name, name) for name in SECTIONS[phase]]
    assert all(one.body.strip() for one in found)
    for name, section in zip(SECTIONS[phase], found, strict=True):
        if name in BY_KIND:
            handed = next(one for one in ARTIFACTS if one.kind == name)
            assert json.loads(section.body) == json.loads(
                handed.model_dump_json(exclude_defaults=True)
            )


@pytest.mark.parametrize("phase", TOLD)
def test_what_does_not_exist_has_no_section(phase: Phase) -> None:
    found = told_to(phase, pipeline())
    # Looking back always has the numbers to go by.
    assert [one.title for one in found] == (
        ["What happened"] if phase is Phase.RETROSPECTIVE else []
    )


@pytest.mark.parametrize("phase", TOLD)
def test_hint_words_and_mission_come_last_to_every_phase(phase: Phase) -> None:
    state = everything(hint="Be brief.", words=("ada: Keep it.", "bob: And mind the cache."))
    found = told_to(phase, state, told="Only the first half.")
    assert found[-3:] == (
        Section(title=HINT, body="Be brief."),
        Section(title=WORDS, body="- ada: Keep it.\n- bob: And mind the cache."),
        Section(title=MISSION, body="Only the first half."),
    )
    assert found[:-3] == told_to(phase, everything())


def test_of_each_kind_the_newest_is_told() -> None:
    later = artifact("wr.coding_handoff", commitSubject="Mend it")
    both = (*ARTIFACTS, later)
    assert newest(both, CodingHandoff) == later
    assert newest((), CodingHandoff) is None
    assert isinstance(newest(both, ReviewVerdict), ReviewVerdict)
    told = told_to(Phase.REVIEW, everything(artifacts=both))
    (handoff,) = [one for one in told if one.title == TITLES[CodingHandoff]]
    assert "Mend it" in handoff.body


def test_checks_of_another_change_are_not_told() -> None:
    title = "What the checks said on this change"
    assert title in titles(Phase.FIX, everything())
    assert title not in titles(Phase.FIX, everything(candidate=ref("later")))
    passed = verified(check(tests=REPORT))
    assert title not in titles(Phase.FIX, everything(verification=passed))


# --- what does not fit --------------------------------------------------------------------------


def test_the_least_important_is_left_out_whole_and_named() -> None:
    lessons = ("x" * 4_000,)
    found = told_to(Phase.CLASSIFY, everything(opened=opened(lessons=lessons)))
    assert found == (Section(title=LEFT_OUT, body=f"- {LESSONS}"),)


def test_what_only_helps_makes_room_for_what_must_be_there() -> None:
    most = CHARACTERS_MAX[Phase.SHAPING]
    mission = "x" * (most - 1_000)
    state = everything()
    found = told_to(Phase.SHAPING, state, told=mission)
    # Of two that help, the later one is the newer: it goes in first.
    assert [one.title for one in found] == [BY_KIND["wr.discovery_handoff"], MISSION, LEFT_OUT]
    assert found[-1].body == f"- {BY_KIND['wr.classification']}"
    assert found[-2].body == mission


def test_a_section_that_must_be_there_is_cut_at_a_line_and_says_so() -> None:
    most = CHARACTERS_MAX[Phase.DESIGN]
    words = tuple(f"ada: {number:04} {'x' * 90}" for number in range(300))
    (said, left_out) = told_to(Phase.DESIGN, everything(words=words))
    assert (said.title, left_out.title) == (WORDS, LEFT_OUT)
    *lines, notice = said.body.splitlines()
    full = [f"- {word}" for word in words]
    assert lines == full[: len(lines)]
    assert len("\n".join(lines)) <= most < len("\n".join(full[: len(lines) + 1]))
    lost = len("\n".join(full)) - len("\n".join(lines))
    assert notice == f"[{lost} more characters were cut]"


def test_one_endless_line_is_cut_where_the_room_ends() -> None:
    most = CHARACTERS_MAX[Phase.AUDIT]
    found = told_to(Phase.AUDIT, pipeline(), told="y" * (most + 7))
    assert found == (Section(title=MISSION, body="y" * most + "\n[7 more characters were cut]"),)


def test_what_just_fits_is_told_whole() -> None:
    lesson = "x" * (CHARACTERS_MAX[Phase.CLASSIFY] - 2)
    (found,) = told_to(Phase.CLASSIFY, everything(opened=opened(lessons=(lesson,))))
    assert found == Section(title=LESSONS, body=f"- {lesson}")


@given(
    phase=st.sampled_from([*TOLD]),
    lessons=st.integers(0, 30),
    findings=st.integers(0, 60),
    files=st.integers(1, 60),
    approach=st.integers(1, 5_900),
    tail=st.integers(0, 2_000),
    mission=st.sampled_from([0, 10, 5_000, 40_000]),
)
@settings(max_examples=150, deadline=None)
def test_all_together_never_exceed_the_budget_but_by_what_must_be_there(
    phase: Phase, lessons: int, findings: int, files: int, approach: int, tail: int, mission: int
) -> None:
    wrong = [
        WRONG.model_copy(update={"summary": f"Case {n} is wrong. {'z' * 250}", "file": f"{n}.py"})
        for n in range(findings)
    ]
    failing = check(P, F)
    failing = failing.model_copy(
        update={"candidate": failing.candidate.model_copy(update={"tail": "t" * tail})}
    )
    changes: dict[str, Any] = {
        "opened": opened(lessons=tuple("l" * 300 for _ in range(lessons))),
        "artifacts": (*ARTIFACTS, artifact("wr.design", approach="a" * approach)),
        "reviews": (judged(*wrong[:30]), judged(*wrong[30:])),
        "examination": examination(*(f"app/{'f' * 80}{n}.py" for n in range(files))),
        "verification": verified(failing),
        "hint": "Be brief.",
    }
    state = everything(**changes)
    found = told_to(phase, state, told="m" * mission)
    assert all(one.body for one in found)

    ranks = {title: rank for rank, title, _ in PARTS[phase]}
    must = {title for title, rank in ranks.items() if rank == MUST} | {HINT, WORDS, MISSION}
    kept = [one for one in found if one.title != LEFT_OUT]
    taken = sum(len(one.body) for one in kept)
    needed = sum(len(one.body) for one in kept if one.title in must)
    most = CHARACTERS_MAX[phase]
    assert taken <= most or taken == needed
    assert all(len(one.body) <= most + len("\n[999999 more characters were cut]") for one in kept)

    # What is missing is named, is nothing that must be there, and would not have fitted.
    whole = told_to_without_bounds(phase, state, "m" * mission)
    dropped = found[-1].body.splitlines() if found and found[-1].title == LEFT_OUT else []
    missing = [(title, body) for title, body in whole if f"- {title}" in dropped]
    told = [(title, body) for title, body in whole if f"- {title}" not in dropped]
    assert [one.title for one in kept] == [title for title, _ in told]
    assert len(missing) == len(dropped)
    assert not must & {title for title, _ in missing}
    for title, body in missing:
        if ranks.get(title) == SPARE:
            assert taken + len(body) > most


def told_to_without_bounds(phase: Phase, state: PipelineState, told: str) -> list[tuple[str, str]]:
    """Every title and body that there is, in order."""
    handed = [
        (TITLES[kind], one.model_dump_json(indent=1, exclude_defaults=True))
        for kind in TOLD[phase]
        if (one := newest(state.artifacts, kind)) is not None
    ]
    parts = [(title, text) for _, title, body in PARTS[phase] if (text := body(state))]
    last = [(HINT, state.hint), (WORDS, "\n".join(state.words)), (MISSION, told)]
    return [*handed, *parts, *((title, text) for title, text in last if text)]


# --- the first edition --------------------------------------------------------------------------

HANDOFFS = (
    artifact("wr.discovery_handoff"),
    artifact("wr.shaping_handoff"),
    artifact("wr.coding_handoff"),
    verdict("minor"),
)
FIRST_TOLD: dict[Phase, list[str]] = {
    Phase.DISCOVERY: [],
    Phase.SHAPING: ["wr.discovery_handoff"],
    Phase.CODING: ["wr.discovery_handoff", "wr.shaping_handoff"],
    Phase.REVIEW: ["wr.shaping_handoff", "wr.coding_handoff"],
    Phase.FIX: ["wr.shaping_handoff", "wr.coding_handoff", "wr.review_verdict"],
}


def failing(**changes: Any) -> PipelineState:
    facts: dict[str, Any] = {
        "artifacts": HANDOFFS,
        "candidate": ONE,
        "verification": verified(check(P, F), check(name="lint")),
    }
    return pipeline(**{**facts, **changes})


@pytest.mark.parametrize("phase", FIRST_EDITION)
def test_in_the_first_edition_a_phase_is_told_the_handoffs_alone(phase: Phase) -> None:
    found = sections(phase, pipeline(artifacts=HANDOFFS))
    assert [json.loads(one.body) for one in found] == [
        json.loads(one.model_dump_json(exclude_defaults=True))
        for kind in FIRST_TOLD[phase]
        for one in HANDOFFS
        if one.kind == kind
    ]
    assert [one.title for one in found] == [BY_KIND[kind] for kind in FIRST_TOLD[phase]]
    assert sections(phase, pipeline()) == ()


def test_in_the_first_edition_a_fix_is_told_what_the_checks_said_of_this_very_change() -> None:
    found = sections(Phase.FIX, failing())[-1]
    assert found.title.startswith("What failed")
    assert found.body == (
        "check 'tests' fails with exit code 1\n\n$ pytest -q\nthe end of the output"
    )
    assert len(sections(Phase.REVIEW, failing())) == 2


def test_in_the_first_edition_a_test_that_disappeared_is_told_although_the_check_passed() -> None:
    pair = check(base_tests=(("a", "b"), ()), tests=(("a",), ()))
    found = sections(Phase.FIX, failing(verification=verified(pair)))[-1]
    assert "gone or skipped: b" in found.body
    assert "pytest" not in found.body


@pytest.mark.parametrize(
    "changes",
    [
        {"candidate": ref("later")},
        {"verification": verified(check())},
        {"verification": None},
    ],
)
def test_in_the_first_edition_checks_of_another_change_or_passed_ones_are_not_told(
    changes: dict[str, Any],
) -> None:
    found = [one.title for one in sections(Phase.FIX, failing(**changes))]
    assert found == [BY_KIND[kind] for kind in FIRST_TOLD[Phase.FIX]]
