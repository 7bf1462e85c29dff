"""Specs as a user has them followed: every story at the command line, on real processes."""

import json
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.e2e.conftest import Theatre
from worktrain.adapters.models import scripted_http
from worktrain.adapters.models.messages_wire import parsed
from worktrain.adapters.models.scenario import Scenario, answer, fingerprint, text_of
from worktrain.demo.play import set_up, with_our_python

pytestmark = pytest.mark.e2e

LONG = bool(os.environ.get("WORKTRAIN_LONG"))
READY_S_MAX = 30


# --- a repository with its own spec, and one that was written for WorkRail --------------------

PRICES = {
    "id": "project.audit-prices",
    "name": "Audit the prices",
    "description": "Go through how prices are read, one case after the other.",
    "version": "1.0.0",
    "metaGuidance": ["Never trust a price that you did not parse yourself."],
    "assessments": [
        {
            "id": "evidence-gate",
            "purpose": "How well the audit is founded.",
            "dimensions": [
                {"id": "evidence", "purpose": "What was run?", "levels": ["low", "high"]}
            ],
        }
    ],
    "steps": [
        {
            "id": "phase-0-look",
            "title": "Look at the till",
            "promptBlocks": {
                "goal": "Find out how {{goal}} is done today.",
                "constraints": [
                    "Change nothing.",
                    [
                        {"kind": "text", "text": "Mind this: "},
                        {"kind": "ref", "refId": "wr.refs.notes_first_durability"},
                    ],
                ],
                "procedure": ["Read till.py.", "Name the function that decides."],
                "outputRequired": {"notesMarkdown": "The function, with its line."},
                "verify": ["The line exists."],
            },
        },
        {
            "id": "phase-1-quick",
            "title": "The quick way",
            "runCondition": {"var": "rigor", "equals": "QUICK"},
            "prompt": "Say in a sentence what is wrong and leave it at that.",
        },
        {
            "id": "phase-2-cases",
            "type": "loop",
            "title": "Case after case",
            "runCondition": {"var": "rigor", "not_equals": "QUICK"},
            "loop": {
                "type": "while",
                "conditionSource": {
                    "kind": "artifact_contract",
                    "contractRef": "wr.contracts.loop_control",
                    "loopId": "case_loop",
                },
                "maxIterations": 4,
            },
            "body": [
                {"id": "phase-2a-try", "title": "Try a case", "prompt": "Parse one more price."},
                {
                    "id": "phase-2b-decide",
                    "title": "Enough?",
                    "prompt": "Decide whether another case is needed.",
                    "outputContract": {"contractRef": "wr.contracts.loop_control"},
                },
            ],
        },
        {
            "id": "phase-3-judge",
            "title": "Judge the audit",
            "prompt": "Judge what you have.",
            "assessmentRefs": ["evidence-gate"],
            "assessmentConsequences": [
                {
                    "when": {"anyEqualsLevel": "low"},
                    "effect": {
                        "kind": "require_followup",
                        "guidance": "Run the case before you judge it.",
                    },
                }
            ],
        },
    ],
}

GATED = """
id: letter
name: A letter
description: Write a letter that a person signs.
version: 1.0.0
steps:
  - id: draft
    title: Draft the letter
    prompt: Draft it.
    requireConfirmation: {kind: human_approval}
  - id: file
    title: File the letter
    prompt: Say where it is filed.
"""


def test_a_spec_of_the_repository_is_checked_listed_run_and_explained(stage: "Stage") -> None:
    stage.has(
        {
            ".worktrain/specs/letter.yaml": GATED,
            ".workrail/workflows/audit-prices.json": json.dumps(PRICES, indent=1),
        }
    )

    def control(decision: str) -> dict[str, Any]:
        return {"kind": "wr.loop_control", "loopId": "case_loop", "decision": decision}

    def judged(level: str) -> dict[str, Any]:
        return {"kind": "wr.assessment", "dimensions": {"evidence": level}}

    stage.model.says(
        auditor=[
            use("Read", filePath="till.py"),
            done("parse_price in till.py decides; it splits at the point and nothing else."),
            done("A plain price was parsed, and it was read as people would read it."),
            done(artifacts=[control("continue")]),
            done("A price with a comma was parsed, and it was refused with a ValueError."),
            done(artifacts=[control("stop")]),
            done("Two cases were tried, and the second one shows the defect.", [judged("LOW")]),
            done("Both cases were run again, and they gave the same as before.", [judged("high")]),
        ]
    )
    repo = str(stage.stage.repo)

    checked = stage.worktrain("spec", "check", "--repo", repo, code=0)
    assert "specs are in order" in checked.stdout
    listed = {one["id"]: one for one in stage.json("spec", "list", "--repo", repo)}
    assert listed["project.audit-prices"]["source"] == listed["letter"]["source"] == "repository"
    assert listed["review"]["source"] == "bundled"

    ran = stage.json(
        *("spec", "run", "project.audit-prices", "--goal", "parsing a price"),
        *("--set", "rigor=THOROUGH"),
    )
    assert ran["ending"] == "completed"
    assert "Never trust a price" in stage.model.opening("auditor")
    assert "Find out how parsing a price is done today." in stage.model.opening("auditor")
    heard = stage.model.everything("auditor")
    assert "leave it at that" not in heard
    assert "pass 2 of at most 4" in heard
    assert "Run the case before you judge it." in stage.model.told("auditor", 7)

    trace = stage.worktrain("show", ran["id"], "--trace", code=0).stdout
    told = [line for line in trace.splitlines() if "phase-1-quick" in line]
    assert len(told) == 1
    assert "skipped" in told[0]
    assert "rigor equals 'QUICK' (is 'THOROUGH')" in told[0]
    kinds = Counter(line.split()[1] for line in trace.splitlines() if line[:2].isdecimal())
    assert (kinds["loop_entered"], kinds["pass"], kinds["loop_left"]) == (1, 2, 1)
    assert kinds["blocked"] == 1
    assert "the newest step said stop" in trace

    marks = graph_of(stage.worktrain("show", ran["id"], "--graph", code=0).stdout)
    assert marks["phase-0-look"] == marks["phase-2b-decide"] == marks["phase-3-judge"] == "✓"
    assert marks["phase-1-quick"] == "-"

    assert "completed" in stage.worktrain("status", ran["id"], code=0).stdout
    log = stage.json("logs", ran["id"])
    assert [line["kind"] for line in log].count("turn") == 8
    assert any("till.py" in line["text"] for line in log if line["kind"] == "tool")


# --- a WorkRail file as it is, and a broken one beside it --------------------------------------

BROUGHT = {
    "id": "team-checklist",
    "name": "Checklist of the team",
    "description": "What the team looks at before a release.",
    "version": "2.1.0",
    "modelTier": "mid",
    "preconditions": ["The repository is checked out."],
    "clarificationPrompts": ["Which release is it?"],
    "metaGuidance": ["Slow is smooth."],
    "functionDefinitions": [
        {
            "name": "weigh",
            "definition": "Weigh each point by what it would cost if it were wrong.",
            "parameters": [{"name": "point", "type": "string", "required": False}],
            "scope": "workflow",
        }
    ],
    "recommendedPreferences": {
        "recommendedAutonomy": "guided",
        "recommendedRiskPolicy": "conservative",
    },
    "features": ["wr.features.memory_context"],
    "extensionPoints": [{"slotId": "closing", "purpose": "How it ends", "default": "team-closing"}],
    "references": [
        {
            "id": "readme",
            "title": "What the till is",
            "source": "README.md",
            "purpose": "The words that customers know.",
            "authoritative": True,
        }
    ],
    "validatedAgainstSpecVersion": 3,
    "about": "# For people",
    "examples": ["Look at the next release of the till"],
    "metricsProfile": "research",
    "steps": [
        {
            "id": "gather-areas",
            "title": "Name the areas",
            "agentRole": "You are the one who has seen releases fail.",
            "promptBlocks": {"goal": "Name the areas of the release."},
            "guidance": ["Two areas are enough."],
            "askForFiles": True,
            "functionReferences": ["weigh()"],
            "requireConfirmation": {"var": "riskLevel", "equals": "High"},
            "promptFragments": [
                {
                    "id": "for-thorough",
                    "when": {"var": "rigorMode", "in": ["THOROUGH", "STANDARD"]},
                    "text": "Look at the tests of each area as well.",
                },
                {
                    "id": "for-quick",
                    "when": {"var": "rigorMode", "equals": "QUICK"},
                    "text": "Leave the tests alone.",
                },
            ],
            "validationCriteria": {
                "and": [
                    {"type": "contains", "value": "Areas:", "message": "Begin with Areas:"},
                    {"not": {"type": "regex", "pattern": "TODO", "message": "Nothing open"}},
                ]
            },
        },
        {
            "id": "area-loop",
            "type": "loop",
            "title": "Area after area",
            "loop": {
                "type": "forEach",
                "items": "areas",
                "itemVar": "area",
                "maxIterations": 10,
            },
            "body": "look-at-area",
        },
        {
            "id": "look-at-area",
            "title": "Look at one area",
            "prompt": "Look at {{area.name}} and at nothing else.",
        },
        {
            "id": "second-look",
            "title": "A second look",
            "templateCall": {
                "templateId": "wr.templates.routine.team-second-look",
                "args": {"subject": "the release"},
            },
        },
    ],
}
SECOND_LOOK = {
    "id": "routine-team-second-look",
    "name": "Second look",
    "description": "Look again at something.",
    "version": "1.0.0",
    "steps": [{"id": "again", "title": "Look again", "prompt": "Look again at {subject}."}],
}
BROKEN = """{
  "id": "half-done",
  "name": "Half done",
  "description": "Its author was called away.",
  "version": "1.0.0",
  "steps": [
    {"id": "only-one", "title": "The only one", "promt": "Do it."}
  ]
}
"""


def test_a_workrail_file_is_brought_as_it_is_and_a_broken_one_is_told_beside_it(
    stage: "Stage",
) -> None:
    stage.has(
        {
            ".workrail/workflows/team-checklist.json": json.dumps(BROUGHT, indent=2),
            ".workrail/workflows/routines/second-look.json": json.dumps(SECOND_LOOK),
            ".workrail/workflows/half-done.json": BROKEN,
        }
    )
    stage.model.says(
        releaser=[
            done("Reading and adding are the two areas that this release is about."),
            done(
                "Areas: reading prices, and adding them up. Both were weighed by their cost.",
                context={"areas": [{"name": "reading"}, {"name": "adding"}]},
            ),
            done("Reading splits at the point; a comma is refused with a ValueError."),
            done("Adding is a sum of what reading gives; there is nothing else in it."),
            done("The release was looked at again, and there is nothing new to be said."),
        ]
    )

    checked = stage.worktrain("spec", "check", code=1)
    assert ".workrail/workflows/half-done.json:7:" in checked.stdout
    assert "promt" in checked.stdout
    errors = [line.partition(": error")[0] for line in checked.stdout.splitlines()]
    assert {place.rpartition(":")[0] for place in errors if ": " not in place} == {
        ".workrail/workflows/half-done.json:7"
    }
    assert "team-checklist" in {one["id"] for one in stage.json("spec", "list")}

    ran = stage.json(
        *("spec", "run", "team-checklist", "--goal", "the next release"),
        *("--set", "rigorMode=THOROUGH"),
    )
    assert ran["ending"] == "completed"
    first = stage.model.opening("releaser")
    for text in (
        "Slow is smooth.",
        "who has seen releases fail",
        "Two areas are enough.",
        "Weigh each point",
        "tests of each area",
        "README.md",
        "The repository is checked out.",
        "Which release is it?",
        "Begin with Areas:",
    ):
        assert text in first
    assert "Leave the tests alone." not in first
    assert "Begin with Areas:" in stage.model.told("releaser", 1)
    assert "Look at reading and at nothing else." in stage.model.told("releaser", 2)
    assert "Look at adding and at nothing else." in stage.model.told("releaser", 3)
    assert "Look again at the release." in stage.model.told("releaser", 4)
    assert "metrics_outcome" in stage.model.told("releaser", 4)

    refused = stage.worktrain("spec", "run", "half-done", "--goal", "the next release", code=1)
    assert "half-done.json:7:" in refused.stderr


# --- sessions that have others work for them ---------------------------------------------------

QUESTION = """
id: one-question
name: One question
description: Answer one question by reading.
version: 1.0.0
needs: {question: string}
gives: {answered: string}
steps:
  - id: answer-it
    title: Answer it
    prompt: "Answer: {{question}}"
    gives: {answered: string}
"""
THREE_SIDES = """
id: three-sides
name: Three sides
description: Look at something from three sides at once.
version: 1.0.0
steps:
  - id: sides
    type: parallel
    title: Three sides
    maxConcurrency: 2
    parallelDelegations:
      - {name: code-side, workflowId: one-question, goal: Look at the code, args: {question: How}}
      - {name: test-side, workflowId: one-question, goal: Look at the tests, args: {question: Sure}}
      - {name: word-side, workflowId: one-question, goal: Look at the words, args: {question: Why}}
    synthesis:
      prompt: "Put them together, beginning with {{delegationResults}}"
      outputContract: {contractRef: wr.contracts.research_report}
"""
REPORT = {
    "kind": "wr.research_report",
    "question": "What is the till?",
    "answer": "A parser of prices with a test for each case.",
    "confidence": "high",
    "sources": [{"source": "till.py", "says": "Prices are split at the point."}],
    "summary": "Three sides agree.",
}


def _looker(path: str, answered: str, **first: Any) -> list[dict[str, Any]]:
    """A child that reads one file and says what it found."""
    return [
        use("Read", filePath=path) | first,
        done(
            f"{path} was read from its first line to its last one.", context={"answered": answered}
        ),
    ]


def test_three_delegations_read_the_repository_two_at_a_time_and_are_put_together(
    stage: "Stage",
) -> None:
    stage.has(
        {
            ".worktrain/specs/one-question.yaml": QUESTION,
            ".worktrain/specs/three-sides.yaml": THREE_SIDES,
        }
    )
    stage.model.says(
        **{
            "Look at the code": _looker("till.py", "It splits at the point."),
            "Look at the tests": _looker("tests/test_till.py", "Every case has a test."),
            "Look at the words": _looker("README.md", "It adds up receipts."),
            "What is the till": [done(artifacts=[REPORT])],
        }
    )

    ran = stage.json("spec", "run", "three-sides", "--goal", "What is the till?")
    assert ran["ending"] == "completed"
    # Each has really read: what it was told next is the file.
    assert "def parse_price" in stage.model.told("Look at the code", 1)
    assert "def test_plain_prices" in stage.model.told("Look at the tests", 1)
    readme = (stage.stage.repo / "README.md").read_text().splitlines()[0]
    assert readme in stage.model.told("Look at the words", 1)
    # Two at a time: the third was not asked before one of the others had been asked its last.
    order = [(one.session, one.turn) for one in stage.model.heard]
    third = order.index(("Look at the words", 0))
    assert {("Look at the code", 1), ("Look at the tests", 1)} & set(order[:third])
    assert order[-1] == ("What is the till", 0)
    synthesis = stage.model.opening("What is the till")
    for text in ("It splits at the point.", "Every case has a test.", "It adds up receipts."):
        assert synthesis.count(text) >= 2  # In what the children handed over, and in the variable.

    sessions = stage.json("show", ran["id"])["sessions"]
    children = {one["session"].rpartition("/")[2]: one.get("given") for one in sessions}
    assert children["code-side-1"] == {"answered": "It splits at the point."}
    assert len(sessions) == 4
    assert sessions[0]["record"]["ending"] == "completed"


HANDOFF_CHANGE = """
id: write-and-ask
name: Write and ask
description: Write a file, have others look at it, hand it over.
version: 1.0.0
steps:
  - id: write-it
    title: Write it
    prompt: Write the file.
  - id: have-it-read
    type: parallel
    title: Have it read
    parallelDelegations:
      - {name: reader, workflowId: one-question, goal: Read the novelty, args: {question: What}}
      - {name: meddler, workflowId: one-question, goal: Meddle with it, args: {question: And}}
  - id: hand-over
    title: Hand it over
    prompt: Hand it over.
    outputContract: {contractRef: wr.contracts.coding_handoff}
"""


def test_children_see_uncommitted_work_and_the_branch_has_exactly_the_parents(
    stage: "Stage",
) -> None:
    stage.has(
        {
            ".worktrain/specs/one-question.yaml": QUESTION,
            ".worktrain/specs/write-and-ask.yaml": HANDOFF_CHANGE,
        }
    )
    handoff = {
        "kind": "wr.coding_handoff",
        "commitSubject": "Say what is new",
        "filesChanged": ["NEWS.md"],
    }
    meddling = "echo mine > child.txt && echo spoilt >> NEWS.md && cat NEWS.md"
    stage.model.says(
        **{
            "Read the novelty": _looker("NEWS.md", "Commas are read."),
            "Meddle with it": [
                use("Bash", command=meddling),
                done("A line was added in the checkout of this child.", context={"answered": "!"}),
            ],
            "Tell the news": [
                use("Write", filePath="NEWS.md", content="Commas are read.\n"),
                done("NEWS.md was written, with one line about the comma in it."),
                done(artifacts=[handoff]),
            ],
        }
    )

    ran = stage.json("spec", "run", "write-and-ask", "--goal", "Tell the news")
    assert ran["ending"] == "completed"
    assert "Commas are read." in stage.model.told("Read the novelty", 1)
    assert "spoilt" in stage.model.told("Meddle with it", 1)
    branch = ran["branch"]
    assert branch in ran["why"]
    assert stage.git("diff", "--name-only", f"main...{branch}") == "NEWS.md"
    assert stage.git("show", f"{branch}:NEWS.md") == "Commas are read."
    assert stage.git("log", "--format=%s", f"main..{branch}") == "Say what is new"
    assert stage.git("for-each-ref", "refs/worktrain/snapshots") == ""


# --- what a person is asked ----------------------------------------------------------------------


def test_a_gate_waits_a_rejection_is_heard_and_an_approval_lets_the_notes_pass(
    stage: "Stage",
) -> None:
    stage.has({".worktrain/specs/letter.yaml": GATED})
    second = "Dear customer, the comma in your prices is read since this morning."
    stage.model.says(
        clerk=[
            done("Dear customer, something about commas was changed in the till."),
            done(second),
            done("The letter is filed in the folder of letters that were sent today."),
        ]
    )

    waits = stage.worktrain("spec", "run", "letter", "--goal", "Write to the customer", code=3)
    name = waits.stdout.split()[0]
    assert f"worktrain approve {name} draft" in waits.stdout
    assert f"worktrain reject {name} draft --reason WHY" in waits.stdout
    assert "something about commas" in waits.stdout

    stage.worktrain("reject", name, "--reason", "Say since when.", code=0)
    status = stage.until(name, lambda status: second in str(status["waiting"]))
    assert status["waiting"]["kind"] == "gate"
    assert "Say since when." in stage.model.told("clerk", 1)
    stage.worktrain("approve", name, code=0)

    assert stage.ended(name)["ending"] == "completed"
    # What was approved counts as it was: nobody was asked to write it a third time.
    assert len(stage.model.heard) == 3
    assert "Say where it is filed." in stage.model.told("clerk", 2)
    [session] = stage.json("show", name)["sessions"]
    assert session["notes"][0] == second
    answers = [e["text"] for e in stage.json("show", name, "--trace") if e["step"] == "draft"]
    assert any("rejected it: Say since when." in text for text in answers)
    assert any("approved it" in text for text in answers)


ASKING = """
id: asking
name: Asking
description: A spec that has to be told things.
version: 1.0.0
needs: {ticket: {type: string, description: "Which ticket is it?"}}
steps:
  - id: choose
    title: Choose the separator
    prompt: "Use the {{separator}} for {{ticket}}."
    questions:
      - {id: separator, text: "Which separator?", type: choice, options: [comma, point]}
"""


def test_typed_questions_take_only_an_answer_and_a_need_that_nothing_gives_is_asked_for(
    stage: "Stage",
) -> None:
    stage.has({".worktrain/specs/asking.yaml": ASKING})
    stage.model.says(
        chooser=[done("The comma is used from now on, as it was decided by a person.")]
    )

    waiting = stage.json("spec", "run", "asking", "--goal", "Choose it", code=3)
    name = waiting["id"]
    question = waiting["waiting"]["id"]
    assert waiting["waiting"]["kind"] == "question"
    assert "- comma\n- point" in waiting["waiting"]["text"]
    assert f"worktrain answer {name} {question} comma" in waiting["waiting"]["commands"]
    refused = stage.worktrain("answer", name, question, "semicolon", code=1)
    assert "comma, point" in refused.stderr
    stage.worktrain("answer", name, question, "Comma", code=0)

    status = stage.until(name, lambda status: "ticket" in str(status["waiting"]))
    assert "Which ticket is it?" in status["waiting"]["text"]
    assert stage.model.heard == []
    stage.worktrain("answer", name, status["waiting"]["id"], "TILL-7", code=0)
    assert stage.ended(name)["ending"] == "completed"
    assert "Use the comma for TILL-7." in stage.model.opening("chooser")


# --- going back and going on ---------------------------------------------------------------------

TWO_STEPS = """
id: two-steps
name: Two steps
description: Find something and say it.
version: 1.0.0
steps:
  - id: find-it
    title: Find it
    prompt: Find it.
    gives: {place: string}
  - id: say-it
    title: Say it
    prompt: "Say what {{place}} is."
"""


def test_a_session_is_put_back_and_one_that_has_ended_is_forked_and_continued(
    stage: "Stage",
) -> None:
    stage.has({".worktrain/specs/two-steps.yaml": TWO_STEPS})
    stuck = {"kind": "needs_human", "severity": "warn", "summary": "Is that the place?"}

    def found(where: str) -> dict[str, Any]:
        return done(
            f"It was found in {where}, after a search of all files.", context={"place": where}
        )

    said = done("It is a function that reads a price, and it stands near the top.")
    stage.model.says(
        seeker=[
            [
                found("the tests") | {"when": "From the start"},
                found("the README") | {"when": "Not the README"},
                found("the wrong file"),
            ],
            [use("report_issue", **stuck) | {"when": "Say what the wrong file is"}, said],
            [done("It is also called by total, which adds up the prices of a receipt.")],
        ]
    )

    waiting = stage.json("spec", "run", "two-steps", "--goal", "Find the function", code=3)
    name = waiting["id"]
    assert "Is that the place?" in waiting["waiting"]["text"]
    unknown = stage.worktrain("rewind", name, "c9", "--reason", "Try.", code=1)
    assert "c1 (find-it), c2 (say-it)" in unknown.stderr
    stage.worktrain("rewind", name, "find-it", "--reason", "Not the README? Yes.", code=0)
    assert stage.ended(name)["ending"] == "completed"
    assert "Not the README? Yes." in stage.model.opening("seeker", 1)
    assert "Say what the README is." in stage.model.heard[-1].text

    session = f"{name}/session-1"
    forked = stage.json("fork", session, "find-it", "--reason", "From the start")
    assert forked["ending"] == "completed"
    assert forked["id"] != name
    assert "Say what the tests is." in stage.model.heard[-1].text

    went_on = stage.json("continue", session, "Who calls it?")
    assert went_on["ending"] == "completed"
    assert "Who calls it?" in stage.model.heard[-1].text
    # It remembers: the same conversation, one message longer.
    assert stage.model.heard[-1].turn == 2
    [more] = stage.json("show", went_on["id"])["sessions"]
    assert more["notes"][-1].startswith("It is also called by total")
    # The one that both went on from stays as it was.
    entries = stage.json("show", name, "--trace")
    assert {entry["session"] for entry in entries} == {session}
    assert [entry["kind"] for entry in entries].count("rewound") == 1
    assert not {"continued"} & {entry["kind"] for entry in entries}


# --- refusals that help --------------------------------------------------------------------------

HANDING = """
id: handing
name: Handing over
description: Hand something over in its form.
version: 1.0.0
steps:
  - id: note-it
    title: Note it
    prompt: Note what you saw.
  - id: hand-over
    title: Hand over
    prompt: Hand it over.
    outputContract: {contractRef: wr.contracts.discovery_handoff}
"""


def test_a_refusal_says_what_is_wrong_where_and_how_it_should_look(stage: "Stage") -> None:
    stage.has({".worktrain/specs/handing.yaml": HANDING})
    wrong = {"kind": "wr.discovery_handoff", "selectedDirektion": "a", "confidenceBand": "sure"}
    right = {"kind": "wr.discovery_handoff", "selectedDirection": "a", "confidenceBand": "high"}
    stage.model.says(
        worker=[
            done("long" * 1250),
            done("What was seen: prices with a comma are refused by parse_price."),
            done(artifacts=[wrong]),
            done(artifacts=[right]),
        ]
    )

    ran = stage.json("spec", "run", "handing", "--goal", "Find the direction")
    assert ran["ending"] == "completed"
    too_long = stage.model.told("worker", 1)
    assert "[INVALID_NOTES, notes" in too_long
    assert "5,000" in too_long
    assert "4,096" in too_long
    refused = stage.model.told("worker", 3)
    assert "[INVALID_REQUIRED_OUTPUT, output_contract wr.discovery_handoff]" in refused
    assert "selectedDirektion" in refused
    assert "artifacts[0].confidenceBand" in refused
    schema, _, example = refused.partition("A filled example")
    assert '"selectedDirection": {' in schema
    assert '"kind": "wr.discovery_handoff"' in example
    assert "2 more refusals end the session" in refused


# --- kill -9 ------------------------------------------------------------------------------------


def test_killed_workers_lose_nothing_of_children_at_work_or_of_a_gate(stage: "Stage") -> None:
    stage.has(
        {
            ".worktrain/specs/one-question.yaml": QUESTION,
            ".worktrain/specs/three-sides.yaml": THREE_SIDES,
            ".worktrain/specs/letter.yaml": GATED,
        }
    )
    silent = {"delay_s": 120, "delay_times": 1}
    stage.model.says(
        **{
            "Look at the code": _looker("till.py", "It splits.", **silent),
            "Look at the tests": _looker("tests/test_till.py", "They test.", **silent),
            "Look at the words": _looker("README.md", "It adds.", **(silent if LONG else {})),
            "What is the till": [done(artifacts=[REPORT])],
            "Write to the customer": [
                done("Dear customer, the comma in your prices is read since today."),
                done("The letter is filed in the folder of letters that were sent."),
            ],
        }
    )
    name = stage.json("spec", "run", "three-sides", "--goal", "What is the till?", "--detach")["id"]
    two = {"Look at the code", "Look at the tests"}
    stage.until(name, lambda _: two <= {one.session for one in stage.model.heard})
    kills = 1
    stage.kill_worker()
    if LONG:
        stage.until(name, lambda _: stage.model.calls("Look at the words") > 0)
        stage.kill_worker()
        kills += 1
    ran = stage.ended(name)
    assert ran["ending"] == "completed"
    sessions = stage.json("show", name)["sessions"]
    assert sorted(one["record"]["ending"] for one in sessions) == ["completed"] * 4
    for child in (*two, "Look at the words"):
        repeated = Counter(one.digest for one in stage.model.heard if one.session == child)
        assert len(repeated) == 2
        assert sum(times - 1 for times in repeated.values()) <= 1
    assert stage.model.calls("What is the till") == 1
    if LONG:
        waiting = stage.json("spec", "run", "letter", "--goal", "Write to the customer", code=3)
        stage.kill_worker()
        stage.worktrain("approve", waiting["id"], code=0)
        assert stage.ended(waiting["id"])["ending"] == "completed"
        assert stage.model.calls("Write to the customer") == 2


# --- the stage ----------------------------------------------------------------------------------


def done(
    notes: str = "", artifacts: Sequence[Any] = (), context: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A turn that completes its step."""
    said = {"notes": notes, "artifacts": [*artifacts], "context": dict(context or {})}
    return use("complete_step", **{name: value for name, value in said.items() if value})


def use(tool: str, **given: Any) -> dict[str, Any]:
    """A turn that calls one tool."""
    return {"calls": [{"tool": tool, "input": given}]}


def graph_of(text: str) -> dict[str, str]:
    """The mark of each step in a drawing of `show --graph`."""
    words = [line.split() for line in text.splitlines()]
    return {row[2].rstrip(":"): row[0] for row in words if len(row) > 2 and row[0] in "✓»-·"}


@dataclass(frozen=True)
class Heard:
    """One request to the model: whose, which turn of it, and what it was told."""

    session: str
    turn: int
    digest: str
    opening: str
    """System prompt and first message."""
    text: str
    """The newest message."""


class Model:
    """The scripted Messages API on a port of its own, which keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.says()
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            lifespan="off",
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()

    def says(self, **sessions: list[Any]) -> None:
        """From now on it has these turns; a session is known by its name in the task's title.

        With one session alone, it is whoever asks.
        """
        alone = len(sessions) == 1
        self._scenario = Scenario.model_validate(
            {
                "sessions": [
                    {"name": name, "match": "" if alone else f"Title: {name}", "turns": turns}
                    for name, turns in sessions.items()
                ]
            }
        )
        self._answers = scripted_http.app(self._scenario)
        self.heard.clear()

    def told(self, session: str, turn: int) -> str:
        """What it was told before it took a turn, the newest time."""
        return [one.text for one in self.heard if (one.session, one.turn) == (session, turn)][-1]

    def opening(self, session: str, nth: int = 0) -> str:
        """What it was told at its `nth` beginning."""
        return [one.opening for one in self.heard if (one.session, one.turn) == (session, 0)][nth]

    def everything(self, session: str) -> str:
        return "\n".join(one.opening + one.text for one in self.heard if one.session == session)

    def calls(self, session: str) -> int:
        return sum(one.session == session for one in self.heard)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(READY_S_MAX)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""

        async def listening() -> Any:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            if body and not message.get("more_body") and scope["path"] == "/v1/messages":
                self._hear(body)
                body = b""
            return message

        await self._answers(scope, listening, send)

    def _hear(self, body: bytes) -> None:
        request = parsed(json.loads(body))
        said = answer(self._scenario, request, 0)
        self.heard.append(
            Heard(
                session=said.session or "nobody",
                turn=said.turn,
                digest=fingerprint(request),
                opening="\n".join([*request.system, text_of(request.messages[0])]),
                text=text_of(request.messages[-1]),
            )
        )


@dataclass(kw_only=True)
class Stage(Theatre):
    """A repository of its own in a home that the other stories of this file use as well."""

    model: Model

    def has(self, files: Mapping[str, str]) -> None:
        """Bring files to the base, as a colleague would."""
        for name, text in files.items():
            path = self.stage.repo / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.commit("What the story needs")
        self.git("push", "-q", "origin", "main")

    def kill_worker(self) -> None:
        os.kill(self.pid("worker"), signal.SIGKILL)


@dataclass(frozen=True)
class House:
    """What is the same for all stories: server, worker and model."""

    env: dict[str, str]
    model: Model


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root = tmp_path_factory.mktemp("house")
    model = Model()
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANTHROPIC_", "WORKTRAIN_", "TEMPORAL_"))
    }
    env |= {
        "PATH": with_our_python(os.environ),
        "WORKTRAIN_HOME": str(root / "home"),
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_API_KEY": "test-key",
    }
    yield House(env, model)
    Theatre(set_up(root / "stage"), env).close()
    model.close()


@pytest.fixture
def stage(house: House, tmp_path: Path) -> Stage:
    house.model.says()
    return Stage(set_up(tmp_path / "stage"), house.env, model=house.model)
