"""The finding ledger: identity over rounds, standings, progress, circles."""

from typing import Any, get_args

import pytest

from worktrain.contracts.artifact import Disposition, Finding, ReviewVerdict, Severity
from worktrain.contracts.ledger import Ledger, Standing
from worktrain.coordinators.ledger import (
    ALIKE_MIN,
    WEIGHT,
    answered,
    flapping,
    folded,
    gravest,
    likeness,
    open_entries,
    progressed,
)

A, B, C = ("a" * 40, "b" * 40, "c" * 40)
"""Trees."""
SPACES = "Inner spaces are dropped by strip_all()"
CAPITALS = "User names with capital letters are refused"


def finding(summary: str, severity: str = "minor", **more: Any) -> Finding:
    return Finding.model_validate(
        {"summary": summary, "severity": severity, "file": "login.py", **more}
    )


def verdict(*findings: Finding) -> ReviewVerdict:
    grave = any(f.severity in (Severity.CRITICAL, Severity.MAJOR) for f in findings)
    return ReviewVerdict.model_validate(
        {
            "verdict": "blocking" if grave else "minor" if findings else "clean",
            "confidence": "high",
            "findings": findings,
            "summary": "Read it.",
        }
    )


def after(*rounds: tuple[str, tuple[Finding, ...]], ledger: Ledger | None = None) -> Ledger:
    """A ledger after these rounds: tree and findings of each."""
    made = ledger or Ledger()
    for tree, findings in rounds:
        made = folded(made, verdict(*findings), f"review-{len(made.rounds) + 1}", tree)
    return made


def standings(ledger: Ledger) -> dict[str, Standing]:
    return {entry.id: entry.standing for entry in ledger.entries}


def claimed(outcome: str, name: str = "F1") -> Disposition:
    return Disposition.model_validate({"finding": name, "outcome": outcome, "evidence": "Seen."})


# --- identity ---------------------------------------------------------------------------------

REWORDED = [
    ("The password comparison is not constant-time", "Compares passwords in non-constant time"),
    ("`parse_date` raises on an empty string", "An empty string makes parse_date() raise"),
    (
        "Line 17: the lock is not released when the write fails",
        "L93: a failed write keeps the lock, which is never released",
    ),
    ("Off-by-one: the last page is never returned", "Pagination drops the last page: off-by-one"),
    ("No test covers the expired token", "The expired token path isn't tested"),
    (
        "The cache is never invalidated after an update",
        "After updates, cached entries stay, they're not invalidated",
    ),
    (
        "User input is concatenated into the SQL query",
        "SQL injection: the query is built by concatenating user input",
    ),
    ("Docstring of `login` is out of date", "The docstring for login() is outdated"),
    (
        "Session ids are logged in plain text",
        "login.py:12 logs contain the session id in plain text",
    ),
    ("Typo in the heading", "The heading has a typo"),
    (
        "Two requests can overwrite each other's balance",
        "The balance is overwritten when two requests overlap",
    ),
    (
        "The default timeout of 30 s is too short for large uploads",
        "Large uploads exceed the default timeout",
    ),
    (
        "`retry_after` is read as seconds although the header may hold a date",
        "The retry_after header may be a date, which is parsed as seconds",
    ),
    ("It is wrong.", "It is wrong"),
]
DIFFERENT = [
    ("Missing null check for user in save()", "Missing null check for order in load()"),
    ("The password comparison is not constant-time", "The password is logged in plain text"),
    ("`parse_date` raises on an empty string", "`parse_time` raises on an empty string"),
    ("No test covers the expired token", "No test covers the revoked token"),
    ("The lock is not released when the write fails", "The write is retried without a bound"),
    ("The cache is never invalidated after an update", "The cache grows without a bound"),
    ("Typo in the heading", "Typo in the comment"),
    ("Docstring of `login` is out of date", "`login` accepts an empty password"),
    ("Empty user names are accepted", CAPITALS),
    ("Large uploads exceed the default timeout", "Large uploads are held in memory"),
    ("Deleting a project leaves its members", "Deleting a project asks for no confirmation"),
    ("The timeout on line 12 is ignored", "The timeout on line 12 is in milliseconds"),
    ("It is wrong.", "It is slow."),
]


@pytest.mark.parametrize(("one", "other"), REWORDED)
def test_a_finding_in_other_words_is_the_same_entry(one: str, other: str) -> None:
    ledger = after((A, (finding(one),)), (B, (finding(other, startLine=99),)))
    assert standings(ledger) == {"F1": Standing.OPEN}
    assert ledger.entries[0].finding.summary == other


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_another_finding_in_the_same_file_is_another_entry(one: str, other: str) -> None:
    ledger = after((A, (finding(one), finding(other))))
    assert list(standings(ledger)) == ["F1", "F2"]


def test_the_bound_lies_between_the_two_tables() -> None:
    def measured(pairs: list[tuple[str, str]]) -> list[float]:
        both = [*pairs, *((other, one) for one, other in pairs)]
        return [likeness(finding(one), finding(other)) for one, other in both]

    assert max(measured(DIFFERENT)) < ALIKE_MIN < min(measured(REWORDED))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"file": "login.py"}, {"file": "login.py"}, True),
        ({"file": "login.py"}, {"file": "./login.py:12-14"}, True),
        ({"file": "login.py"}, {"file": "logout.py"}, False),
        ({"file": "login.py"}, {"file": None}, False),
        ({"file": None}, {"file": None}, True),
        ({"file": None}, {"file": ""}, True),
        ({"findingCategory": "security"}, {"findingCategory": "security"}, True),
        ({"findingCategory": "security"}, {}, True),
        ({"findingCategory": "security"}, {"findingCategory": "style"}, False),
        ({"severity": "critical"}, {"severity": "nit"}, True),
    ],
)
def test_place_and_category_are_part_of_the_identity_and_severity_is_not(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    ledger = after((A, (finding(SPACES, **one),)), (B, (finding(SPACES, **other),)))
    assert len(ledger.entries) == (1 if same else 2)


def test_the_reviewers_own_word_for_an_entry_counts_before_its_words() -> None:
    ledger = after((A, (finding(SPACES), finding(CAPITALS))))
    other_words = finding("Something else entirely", file="x.py", known="F2")
    ledger = after((B, (other_words,)), ledger=ledger)
    assert standings(ledger) == {"F1": Standing.FIXED, "F2": Standing.OPEN}


def test_an_id_that_the_ledger_does_not_have_is_ignored() -> None:
    ledger = after((A, (finding(SPACES),)), (B, (finding(SPACES, known="F7"),)))
    assert standings(ledger) == {"F1": Standing.OPEN}
    ledger = after((B, (finding(CAPITALS, known="F7"),)), ledger=ledger)
    assert list(standings(ledger)) == ["F1", "F2"]


def test_two_claims_under_one_id_are_two_entries() -> None:
    ledger = after((A, (finding(SPACES),)))
    two = (finding(SPACES, known="F1"), finding(CAPITALS, "critical", known="F1"))
    ledger = after((B, two), ledger=ledger)
    assert standings(ledger) == {"F1": Standing.OPEN, "F2": Standing.OPEN}
    assert gravest(ledger) is Severity.CRITICAL


def test_likeness_does_not_take_the_place_of_the_reviewers_own_word() -> None:
    ledger = after((A, (finding(SPACES),)))
    own = finding("Tabs vanish as well", "major", known="F1")
    ledger = after((B, (finding("strip_all() drops inner spaces"), own)), ledger=ledger)
    assert standings(ledger) == {"F1": Standing.OPEN}
    assert gravest(ledger) is Severity.MAJOR


@pytest.mark.parametrize("order", [1, -1])
def test_the_same_claim_twice_in_one_verdict_is_one_entry_with_the_graver_severity(
    order: int,
) -> None:
    twice = (finding(SPACES), finding("strip_all() drops inner spaces", "critical"))
    ledger = after((A, twice[::order]))
    assert [entry.finding.severity for entry in ledger.entries] == [Severity.CRITICAL]
    assert ledger.rounds[0].opened == ("F1",)
    assert ledger.rounds[0].weight == 1000


# --- standings --------------------------------------------------------------------------------


def test_every_severity_has_a_weight() -> None:
    assert list(WEIGHT) == list(Severity)
    assert list(WEIGHT.values()) == [1000, 100, 10, 1]


def test_a_round_says_what_it_made_of_the_ledger() -> None:
    three = (finding(SPACES), finding(CAPITALS, "major"))
    ledger = after((A, three), (B, (finding(CAPITALS, "nit"), finding("Typo in the heading"))))
    assert ledger.rounds[0].opened == ("F1", "F2")
    assert ledger.rounds[0].weight == 110
    second = ledger.rounds[1]
    assert (second.number, second.session, second.tree) == (2, "review-2", B)
    assert (second.opened, second.closed, second.still) == (("F3",), ("F1",), ("F2",))
    assert second.weight == 11
    assert [(e.first_round, e.last_round) for e in ledger.entries] == [(1, 1), (1, 2), (2, 2)]
    assert [entry.id for entry in open_entries(ledger)] == ["F2", "F3"]


def test_a_clean_verdict_closes_everything() -> None:
    ledger = after((A, (finding(SPACES),)), (B, ()))
    assert standings(ledger) == {"F1": Standing.FIXED}
    assert (open_entries(ledger), gravest(ledger), ledger.rounds[-1].weight) == ((), None, 0)


@pytest.mark.parametrize("outcome", get_args(Disposition.model_fields["outcome"].annotation))
def test_what_a_fixer_says_closes_nothing_but_tells_fixed_from_invalid(outcome: str) -> None:
    ledger = answered(after((A, (finding(SPACES),))), [claimed(outcome)])
    assert standings(ledger) == {"F1": Standing.OPEN}
    still = after((B, (finding(SPACES),)), ledger=ledger)
    assert standings(still) == {"F1": Standing.OPEN}
    gone = after((B, ()), ledger=ledger)
    closed = Standing.INVALID if outcome == "invalid" else Standing.FIXED
    assert standings(gone) == {"F1": closed}
    assert gone.rounds[-1].closed == ("F1",)


def test_of_a_fixers_words_the_last_counts_and_unknown_ids_are_passed_over() -> None:
    ledger = answered(
        after((A, (finding(SPACES), finding(CAPITALS)))),
        [claimed("invalid"), claimed("fixed_now"), claimed("invalid", "F9")],
    )
    assert [entry.disposition for entry in ledger.entries] == [claimed("fixed_now"), None]
    assert answered(ledger, []) == ledger


@pytest.mark.parametrize("outcome", ["fixed_now", "invalid"])
def test_what_comes_back_on_another_tree_flaps_and_is_open(outcome: str) -> None:
    ledger = answered(after((A, (finding(SPACES),))), [claimed(outcome)])
    ledger = after((B, ()), (C, (finding(SPACES, "major"),)), ledger=ledger)
    assert standings(ledger) == {"F1": Standing.FLAPPING}
    assert [entry.reopened for entry in open_entries(ledger)] == [1]
    assert (ledger.rounds[-1].reopened, ledger.rounds[-1].weight) == (("F1",), 100)
    ledger = after((A, (finding(SPACES),)), ledger=ledger)
    assert standings(ledger) == {"F1": Standing.FLAPPING}
    assert (ledger.rounds[-1].still, ledger.entries[0].reopened) == (("F1",), 1)
    ledger = after((B, ()), (C, (finding(SPACES),)), ledger=ledger)
    assert ledger.entries[0].reopened == 2


def test_two_reviewers_who_disagree_on_one_tree_are_no_circle() -> None:
    ledger = after((A, (finding(SPACES),)), (B, ()), (B, (finding(SPACES),)))
    assert standings(ledger) == {"F1": Standing.OPEN}
    assert ledger.rounds[-1].reopened == ("F1",)
    assert (ledger.entries[0].reopened, flapping(ledger, (A, B))) == (0, ())


# --- progress and circles -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rounds", "better"),
    [
        ([(A, ["major"])], True),
        ([(A, ["major"]), (B, ["minor"])], True),
        ([(A, ["major"]), (B, [])], True),
        ([(A, ["minor", "minor"]), (B, ["minor"])], True),
        ([(A, ["minor"]), (B, ["minor"])], False),
        ([(A, ["minor"]), (B, ["major"])], False),
        ([(A, ["major"]), (B, ["minor"]), (C, ["minor"])], False),
        # No fix lies between these.
        ([(A, ["critical"]), (B, ["critical"]), (B, ["critical", "minor"])], True),
        ([(A, []), (B, ["minor"])], True),
    ],
)
def test_progress_is_that_a_fix_left_less_open(
    rounds: list[tuple[str, list[str]]], better: bool
) -> None:
    names = (SPACES, CAPITALS)
    said = [
        (tree, tuple(finding(names[at], severity) for at, severity in enumerate(severities)))
        for tree, severities in rounds
    ]
    assert progressed(after(*said)) is better


@pytest.mark.parametrize(
    ("trees", "circles"),
    [
        ((), 0),
        ((A,), 0),
        ((A, B), 0),
        ((A, A), 0),
        ((A, B, B), 0),
        ((A, B, A), 1),
        ((A, B, A, A), 1),
        ((A, B, A, C), 0),
        ((A, B, C, B), 1),
    ],
)
def test_a_tree_that_was_there_before_is_a_circle(trees: tuple[str, ...], circles: int) -> None:
    found = flapping(after((A, (finding(SPACES),))), trees)
    assert len(found) == circles
    assert all(trees[-1][:12] in sentence for sentence in found)


def test_a_finding_that_came_back_is_named_until_it_is_settled_again() -> None:
    ledger = after((A, (finding(SPACES),)), (B, ()), (C, (finding(SPACES),)))
    (sentence,) = flapping(ledger, (A, B, C))
    assert "F1" in sentence
    assert SPACES in sentence
    assert flapping(after((A, ()), ledger=ledger), ()) == ()
