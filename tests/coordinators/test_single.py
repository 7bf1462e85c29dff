"""The coordinator of a session by itself: one session, its work kept, its ending told."""

import pytest

from tests.coordinators.conftest import ONE, WORKTREE, artifact, pipeline, session
from worktrain.contracts.delivery import Committed, NothingChanged
from worktrain.contracts.failure import Failure, FailureKind
from worktrain.contracts.pipeline import (
    Begun,
    CommitWork,
    End,
    PipelineEnding,
    PipelineKilled,
    PipelineState,
    Proven,
    RunSession,
    SessionEnded,
    StepFailed,
)
from worktrain.contracts.route import Phase, PipelineKind
from worktrain.contracts.session import SessionEnding
from worktrain.coordinators.single import route


def by_itself() -> PipelineState:
    state = pipeline(Phase.SESSION, kind=PipelineKind.SPEC)
    request = state.request.model_copy(update={"spec": "research", "context": {"depth": 2}})
    return state.model_copy(update={"request": request})


def ended(state: PipelineState, event: object) -> End:
    command = route(state, event)[1]  # type: ignore[arg-type]
    assert isinstance(command, End), command
    assert command.why
    return command


def test_it_begins_with_a_session_of_the_spec_on_a_branch_of_its_own() -> None:
    _, command = route(by_itself(), Begun())
    assert isinstance(command, RunSession)
    asked = command.request
    assert (asked.spec, asked.context, asked.branch) == ("research", {"depth": 2}, "worktrain/t")


def test_a_session_that_delivers_a_change_has_it_committed() -> None:
    done = session(Phase.CODING, artifact("wr.coding_handoff"))
    state, command = route(by_itself(), done)
    assert isinstance(command, CommitWork)
    assert command.request.worktree == WORKTREE
    committed = ended(state, Committed(at=ONE, files=("a",)))
    assert committed.ending is PipelineEnding.COMPLETED
    assert "worktrain/t" in committed.why
    assert ended(state, NothingChanged()).ending is PipelineEnding.COMPLETED


@pytest.mark.parametrize("ending", SessionEnding)
def test_only_a_completed_session_has_completed(ending: SessionEnding) -> None:
    found = ended(by_itself(), session(Phase.DISCOVERY, ending=ending)).ending
    wanted = {
        SessionEnding.COMPLETED: PipelineEnding.COMPLETED,
        SessionEnding.KILLED: PipelineEnding.KILLED,
    }
    assert found is wanted.get(ending, PipelineEnding.FAILED)


def test_what_a_failed_session_delivered_is_not_committed() -> None:
    done = session(Phase.CODING, artifact("wr.coding_handoff"), ending=SessionEnding.BLOCKED)
    assert isinstance(done, SessionEnded)
    assert ended(by_itself(), done).ending is PipelineEnding.FAILED


def test_failures_and_kills_end_it_with_their_words() -> None:
    broken = StepFailed(failure=Failure(kind=FailureKind.INTERNAL, said="the disk is gone"))
    assert "the disk is gone" in ended(by_itself(), broken).why
    killed = ended(by_itself(), PipelineKilled(why="killed on request"))
    assert killed.ending is PipelineEnding.KILLED
    assert ended(by_itself(), Proven(digest="d")).ending is PipelineEnding.FAILED
