"""Every assignment of the collection is what it claims: wrong before, right after, and routed."""

import os
import shlex
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from tests.tasks.assignment import Assignment, assignments, changed, files_below, is_test
from tests.tasks.screenplay import classification, scenario
from worktrain.adapters.models.scenario import Scenario
from worktrain.contracts.pipeline import SliceWork
from worktrain.contracts.route import PipelineKind
from worktrain.contracts.workspace import WorkspaceConfig
from worktrain.coordinators.classify import classified
from worktrain.coordinators.matrix import criteria_of
from worktrain.coordinators.routing import route_of
from worktrain.coordinators.slices import overlap, strayed, wave
from worktrain.demo.play import with_our_python

ALL = assignments()
each = pytest.mark.parametrize("assignment", ALL, ids=[one.name for one in ALL])


def passes(files: dict[str, str], check: str, place: Path) -> bool:
    """Whether the tests of a program pass, written below a place of its own."""
    for path, text in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    env = {**os.environ, "PATH": with_our_python(os.environ), "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        shlex.split(check), cwd=place, env=env, capture_output=True, text=True, check=False
    )
    # 2: a test cannot even be read, because what it is about is not there.
    assert done.returncode in (0, 1, 2), done.stdout + done.stderr
    return done.returncode == 0


def finished(assignment: Assignment) -> dict[str, str]:
    files = files_below(assignment.program)
    for piece in assignment.pieces:
        files = changed(files, piece.change)
    return changed(files, assignment.finding.change) if assignment.finding else files


def test_there_are_a_dozen_small_ones_and_five_in_slices() -> None:
    assert sum(not one.slices for one in ALL) >= 12
    assert sum(bool(one.slices) for one in ALL) >= 5
    assert sum(one.finding is not None for one in ALL) >= 3
    assert {one.pipeline for one in ALL} == {"quick", "bugfix", "feature"}


@each
def test_the_tests_fail_on_the_program_as_it_is_and_pass_after_the_change(
    assignment: Assignment, tmp_path: Path
) -> None:
    before, after = files_below(assignment.program), finished(assignment)
    tests = {path: text for path, text in after.items() if is_test(path)}
    assert not passes({**before, **tests}, assignment.check, tmp_path / "before")
    assert passes(after, assignment.check, tmp_path / "after")


@each
def test_a_small_one_is_one_line_of_its_program(assignment: Assignment) -> None:
    before = files_below(assignment.program)
    assert 10 <= sum(len(t.splitlines()) for path, t in before.items() if not is_test(path)) <= 80
    edits = [one for one in assignment.change if not is_test(one.path)]
    assert len(edits) == (0 if assignment.slices else 1)
    for one in edits:
        old, new = before[one.path], changed(before, [one])[one.path]
        lines = zip(old.splitlines(), new.splitlines(), strict=True)
        assert sum(a != b for a, b in lines) == 1


@each
def test_labels_and_classification_lead_it_into_its_pipeline(assignment: Assignment) -> None:
    task, config = assignment.task, WorkspaceConfig()
    found = classified(
        task, classification(assignment), len(files_below(assignment.program)), config
    )
    route = route_of(PipelineKind.AUTO, None, task, found, config)
    assert route.pipeline.value == assignment.pipeline, route.why
    assert route.demands == ()


@each
def test_its_criteria_are_where_its_pipeline_takes_them_from(assignment: Assignment) -> None:
    written = {one.id: one.statement for one in criteria_of(assignment.task)}
    told = {one.id: one.statement for one in assignment.criteria}
    match assignment.pipeline:
        case "feature":
            shown = [name for one in assignment.slices for name in one.criteria]
            assert sorted(shown) == sorted(told)
        case "bugfix":
            assert list(told) == ["AC1", "AC2"]
        case "quick":
            assert told == written


@each
def test_its_slices_have_independent_ones_and_dependent_ones(assignment: Assignment) -> None:
    plans = [one.plan for one in assignment.slices]
    if not plans:
        return
    assert 2 <= len(plans) <= 4
    assert any(one.dependsOn for one in plans)
    assert any(
        not overlap(one, other) and one.id not in other.dependsOn
        for one, other in combinations(plans, 2)
    )
    for one in assignment.slices:
        work = SliceWork(plan=one.plan)
        others = [SliceWork(plan=plan) for plan in plans]
        assert strayed(work, [each.path for each in one.change], others) == ()


def test_in_one_of_them_two_slices_may_not_be_coded_at_the_same_time() -> None:
    (one,) = assignments(["more-units"])
    plans = {each.id: each.plan for each in one.slices}
    assert overlap(plans["S1"], plans["S2"])
    assert not plans["S2"].dependsOn
    begun = wave([SliceWork(plan=plan) for plan in plans.values()], at_once=3)
    assert [work.plan.id for work in begun] == ["S1", "S3"]


def test_every_part_of_the_play_can_be_read() -> None:
    text = yaml.safe_dump(scenario(ALL), allow_unicode=True)
    read = Scenario.model_validate(yaml.safe_load(text), extra="forbid")
    names = [session.name for session in read.sessions]
    assert len(set(names)) == len(names)
