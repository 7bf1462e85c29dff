"""Acts on the outside are done at most once, whatever becomes of their answers."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import TypeAdapter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from worktrain.activities.delivering import DeliveringActivities
from worktrain.activities.effects import once
from worktrain.activities.sandbox import Sandboxes
from worktrain.adapters.forges.in_memory import InMemoryForge
from worktrain.adapters.shells import Shell
from worktrain.adapters.shells.scripted import ScriptedShell
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.adapters.workspaces.in_memory import (
    InMemoryCommit,
    InMemoryRepository,
    InMemoryWorkspaces,
)
from worktrain.contracts.base import digest
from worktrain.contracts.delivery import (
    BaseMoved,
    Merged,
    MergeReply,
    MergeRequest,
    Posted,
    ProofRequest,
    Reverted,
    RevertRequest,
    ReviewPost,
    Suspension,
)
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.proof import Proof, Verification
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import Base, CommitRef, SandboxRules
from worktrain.coordinators.prove import canonical

POSTED = TypeAdapter(Posted)
REQUEST = Suspension(id="s1", repo="repo", paths=("src",), why="red")
PIPELINE = "task/shop/fix-it"
Reply = TypeVar("Reply")


class Board:
    """Something outside to write on, over a line that may break."""

    def __init__(self) -> None:
        self.written = 0
        self.breaks = False

    def _line(self) -> None:
        if self.breaks:
            raise AdapterError(FailureKind.UNREACHABLE, "The line is dead; try again.")

    async def write(self) -> Posted:
        self.written += 1
        self._line()
        return Posted(where=f"line {self.written}")

    async def look(self) -> Posted | None:
        self._line()
        return Posted(where=f"line {self.written}") if self.written else None


async def attempt(store: InMemoryStore, board: Board, key: str = "post/p/1") -> Posted:
    return await once(store, key, REQUEST, POSTED, board.write, board.look)


async def test_an_act_is_done_and_its_receipt_answers_from_then_on() -> None:
    store, board = InMemoryStore(), Board()
    first = await attempt(store, board)
    board.breaks = True
    assert await attempt(store, board) == first == Posted(where="line 1")
    assert board.written == 1
    (row,) = await store.effects("p")
    assert Suspension.model_validate_json(row.intent) == REQUEST
    assert POSTED.validate_json(row.receipt or "") == first


async def test_an_act_whose_answer_was_lost_is_found_and_not_repeated() -> None:
    store, board = InMemoryStore(), Board()
    board.breaks = True
    with pytest.raises(AdapterError):
        await attempt(store, board)
    assert board.written == 0, "nothing is done where nothing can be seen"
    board.breaks = False
    real_write = board.write

    async def lost() -> Posted:
        await real_write()
        raise AdapterError(FailureKind.UNREACHABLE, "The answer was lost; try again.")

    with pytest.raises(AdapterError, match="answer was lost"):
        await once(store, "post/p/1", REQUEST, POSTED, lost, board.look)
    assert (await store.effects("p"))[0].receipt is None, "the outcome is unknown"
    assert await attempt(store, board) == Posted(where="line 1")
    assert board.written == 1
    assert (await store.effects("p"))[0].receipt is not None


async def test_an_unknown_outcome_is_held_while_it_cannot_be_looked_for() -> None:
    store, board = InMemoryStore(), Board()
    await store.intend("post/p/1", REQUEST.model_dump_json())
    board.written = 1
    board.breaks = True
    for _ in range(3):
        with pytest.raises(AdapterError, match="line is dead"):
            await attempt(store, board)
    assert board.written == 1
    board.breaks = False
    assert await attempt(store, board) == Posted(where="line 1")
    assert board.written == 1


async def test_acts_of_other_keys_are_other_acts() -> None:
    store, board = InMemoryStore(), Board()
    for key in ("post/p/1", "post/p/2"):
        await once(store, key, REQUEST, POSTED, board.write, look=None)
    assert board.written == 2


# --- the acts of a delivery --------------------------------------------------------------------


class Forge(InMemoryForge):
    """Does what it is asked. While it `loses` it never says so; while `blind` it sees nothing."""

    loses = False
    blind = False

    def _answer(self, reply: Reply) -> Reply:
        if self.loses:
            raise AdapterError(FailureKind.UNREACHABLE, "The answer was lost; try again.")
        return reply

    async def merge(self, request: MergeRequest) -> MergeReply:
        return self._answer(await super().merge(request))

    async def merged(self, request: MergeRequest) -> Merged | None:
        if self.blind:
            raise AdapterError(FailureKind.UNREACHABLE, "The forge cannot be seen; try again.")
        return await super().merged(request)

    async def attach_note(self, repo: str, base: Base, commit: str, text: str) -> str:
        return self._answer(await super().attach_note(repo, base, commit, text))

    async def publish(self, repo: str, base: Base, branch: str, commit: str) -> str:
        return self._answer(await super().publish(repo, base, branch, commit))

    async def post_review(self, repo: str, base: Base, commit: str, text: str) -> str:
        return self._answer(await super().post_review(repo, base, commit, text))


class Delivery:
    """A base, a candidate on it, and the activities that deliver it."""

    def __init__(self, home: Path, remote: str | None = None) -> None:
        self.repository = InMemoryRepository({"a.txt": "one\n"}, remote=remote)
        self.store = InMemoryStore()
        self.forge = Forge({"repo": self.repository})
        at = self.repository.at(self.repository.refs["main"])
        self.base = Base(branch="main", at=at, remote=remote)
        self.candidate = self.repository.add(
            InMemoryCommit({"a.txt": "uno\n"}, at.commit, "Change it", "k1")
        )

        async def choose(rules: SandboxRules, scratch: Path) -> tuple[Shell, str]:
            return ScriptedShell([]), "scripted"

        self.activities = DeliveringActivities(
            self.store,
            InMemoryWorkspaces({"repo": self.repository}),
            self.forge,
            Sandboxes(choose, home / "scratch"),
            home / "checkouts",
        )

    @property
    def request(self) -> MergeRequest:
        return MergeRequest(
            pipeline=PIPELINE, repo="repo", base=self.base, candidate=self.candidate
        )

    @property
    def proof(self) -> ProofRequest:
        proof = Proof(
            pipeline=PIPELINE,
            task=Task(source="typed", title="Fix it"),
            base=self.base.at,
            merged=self.candidate,
            base_branch="main",
            criteria=(),
            phases=(),
            reviews=(),
            verification=Verification(base=self.base.at, candidate=self.candidate, checks=()),
            decisions=(),
            usage=Usage(),
            cost_microdollars=0,
        )
        return ProofRequest(repo="repo", base=self.base, proof=proof)

    def revert(self, red: CommitRef) -> RevertRequest:
        return RevertRequest(
            pipeline=PIPELINE,
            repo="repo",
            base=Base(branch="main", at=red, remote=self.base.remote),
            before=self.base.at,
            merged=self.candidate,
            branch="worktrain/revert-fix-it",
            why="The check tests fails since.",
        )

    async def loses(self, act: Callable[[], Awaitable[object]]) -> None:
        """An attempt at an act that is done, and whose answer is lost."""
        self.forge.loses = True
        with pytest.raises(ApplicationError, match="answer was lost"):
            await act()
        self.forge.loses = False


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    return Delivery(tmp_path, remote="origin")


Method = Callable[..., Awaitable[Reply]]


async def run(method: Method[Reply], request: object) -> Reply:
    reply: Reply = await ActivityEnvironment().run(method, request)
    return reply


async def test_a_merge_whose_answer_was_lost_is_found(delivery: Delivery) -> None:
    merge = delivery.activities.merge
    await delivery.loses(lambda: run(merge, delivery.request))
    delivery.repository.advance("main", {"later.txt": "later\n"}, "Later")
    delivery.forge.blind = True
    with pytest.raises(ApplicationError, match="cannot be seen"):
        await run(merge, delivery.request)
    delivery.forge.blind = False
    for _ in range(2):
        assert await run(merge, delivery.request) == Merged(at=delivery.candidate)
    assert delivery.forge.merges == 1
    delivery.forge.blind = True
    assert await run(merge, delivery.request) == Merged(at=delivery.candidate), "from its receipt"


async def test_a_base_that_moved_and_moved_back_is_merged_to(delivery: Delivery) -> None:
    now = delivery.repository.advance("main", {"b.txt": "b\n"}, "Meanwhile")
    for _ in range(2):
        reply = await run(delivery.activities.merge, delivery.request)
        assert reply == BaseMoved(now=now)
    delivery.repository.refs["main"] = delivery.base.at.commit
    for _ in range(2):
        reply = await run(delivery.activities.merge, delivery.request)
        assert reply == Merged(at=delivery.candidate)
    assert delivery.forge.merges == 1


async def test_the_sealed_text_is_what_is_attached(delivery: Delivery) -> None:
    attach, request = delivery.activities.attach_proof, delivery.proof
    commit = delivery.candidate.commit
    await delivery.store.put_proof(commit, PIPELINE, "signed: the proof")
    await delivery.loses(lambda: run(attach, request))
    for _ in range(2):
        reply = await run(attach, request)
        assert reply.digest == digest("signed: the proof"), "of what is attached"
        assert reply.note == "refs/notes/worktrain on origin"
    assert await delivery.forge.read_note("repo", commit) == "signed: the proof"
    assert delivery.forge.notes_written == 1
    (row,) = await delivery.store.effects(PIPELINE)
    assert len(row.intent) < 500, "the text is in the store once"


async def test_a_proof_that_nobody_sealed_is_stored_and_attached_bare(delivery: Delivery) -> None:
    await run(delivery.activities.attach_proof, delivery.proof)
    text = canonical(delivery.proof.proof)
    assert await delivery.store.proof(delivery.candidate.commit) == text
    assert await delivery.forge.read_note("repo", delivery.candidate.commit) == text


async def test_a_revert_is_made_and_published_once(delivery: Delivery) -> None:
    await run(delivery.activities.merge, delivery.request)
    red = delivery.repository.advance("main", {"b.txt": "b\n"}, "Later")
    request = delivery.revert(red)
    await delivery.loses(lambda: run(delivery.activities.open_revert, request))
    known = len(delivery.repository.commits)
    for _ in range(2):
        reply = await run(delivery.activities.open_revert, request)
        assert isinstance(reply, Reverted)
    assert len(delivery.repository.commits) == known
    assert (reply.branch, reply.where) == (request.branch, f"{request.branch} on origin")
    assert delivery.forge.published == {request.branch: reply.at.commit}
    made = delivery.repository.commits[reply.at.commit]
    assert (made.parent, made.files) == (red.commit, {"a.txt": "one\n", "b.txt": "b\n"})


async def test_a_revert_that_cannot_be_made_says_why_and_publishes_nothing(
    delivery: Delivery,
) -> None:
    await run(delivery.activities.merge, delivery.request)
    red = delivery.repository.advance("main", {"a.txt": "due\n"}, "In the way")
    with pytest.raises(ApplicationError, match=r"later work has changed a\.txt") as caught:
        await run(delivery.activities.open_revert, delivery.revert(red))
    assert caught.value.type == "conflict"
    assert delivery.forge.published == {}


async def test_a_review_is_posted_once_and_another_takes_its_place(delivery: Delivery) -> None:
    post = delivery.activities.post_review

    def review(text: str) -> ReviewPost:
        return ReviewPost(
            pipeline=PIPELINE,
            repo="repo",
            base=delivery.base,
            at=delivery.candidate,
            text=text,
        )

    await delivery.loses(lambda: run(post, review("one finding")))
    assert await run(post, review("one finding")) == Posted(
        where="refs/notes/worktrain-reviews on origin"
    )
    await run(post, review("nothing left"))
    assert delivery.forge.reviews == {delivery.candidate.commit: "nothing left"}
    assert len(await delivery.store.effects(PIPELINE)) == 2


async def test_a_suspension_stands_from_when_it_was_first_made(delivery: Delivery) -> None:
    for _ in range(2):
        await run(delivery.activities.suspend, REQUEST)
    (standing,) = await delivery.store.suspensions("repo")
    assert standing.paths == ("src",)
    assert standing.since_s > 0
