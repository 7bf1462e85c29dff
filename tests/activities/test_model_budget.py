"""What a model call may cost is reserved before it is asked; what was paid is never asked twice."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from tests.engine.conftest import compiled, step
from worktrain.activities.model import ANSWER_TOKENS_MIN, BYTES_PER_TOKEN, ModelActivities, reserved
from worktrain.adapters.models import answer_tokens_for
from worktrain.adapters.models.prices import cost_microdollars
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.plan import Context
from worktrain.contracts.turn import (
    Continued,
    Message,
    ModelReply,
    ModelRequest,
    StepPrompt,
    StopReason,
    TextBlock,
    TurnReply,
    TurnRequest,
    Usage,
)

SONNET = "claude-sonnet-4-5"
"""3 and 15 USD for a million tokens."""
FREE = "model-of-nobody"


class Voice:
    """A model that answers in a word and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ModelRequest] = []

    async def reply(self, request: ModelRequest, progress: Callable[[str], None]) -> ModelReply:
        self.asked.append(request)
        return ModelReply(
            blocks=(TextBlock(text="Well."),),
            stop=StopReason.END_TURN,
            usage=Usage(output=10),
            model=request.model,
        )


class Booth:
    """One host that asks a voice."""

    def __init__(self) -> None:
        self.voice = Voice()
        self.store = InMemoryStore()
        self._activities = ModelActivities(self.store, self.voice)

    async def turn(self, spend: int | None, **changes: Any) -> TurnReply:
        script = compiled(step("one-step")).script.model_dump_json()
        context = Context(opening="The task.", rules="").model_dump_json()
        request = TurnRequest(
            session="s",
            turn=7,
            head=None,
            say=(StepPrompt(step="one-step"),),
            script=await self.store.put_blob(script),
            context=await self.store.put_blob(context),
            model=SONNET,
            max_tokens=16_000,
            spend_microdollars_max=spend,
        ).model_copy(update=changes)
        # What Temporal runs takes the request alone: it hands in `progress` itself.
        take_turn: Any = self._activities.take_turn
        reply: TurnReply = await ActivityEnvironment().run(take_turn, request)
        return reply

    async def refused(self, spend: int, **changes: Any) -> str:
        with pytest.raises(ApplicationError) as caught:
            await self.turn(spend, **changes)
        assert caught.value.type == FailureKind.UNAFFORDABLE
        assert caught.value.non_retryable
        return caught.value.message


@pytest.fixture
def booth() -> Booth:
    return Booth()


async def test_what_can_be_paid_is_asked_as_it_is(booth: Booth) -> None:
    await booth.turn(10_000_000)
    assert booth.voice.asked[0].max_tokens == 16_000


async def test_an_answer_is_no_longer_than_what_is_left_pays_for(booth: Booth) -> None:
    await booth.turn(150_000)
    (asked,) = booth.voice.asked
    tokens = -(-len(asked.model_dump_json().encode()) // BYTES_PER_TOKEN)
    assert 1_000 < asked.max_tokens < 10_000
    worst = cost_microdollars(SONNET, Usage(input=tokens, output=asked.max_tokens))
    assert 150_000 - 20 < worst <= 150_000


async def test_what_would_be_too_short_is_not_asked_and_said_with_numbers(booth: Booth) -> None:
    said = await booth.refused(10_000)
    assert booth.voice.asked == []
    assert said.startswith(f"Turn 7 of s was not asked of {SONNET!r}")
    assert "USD 0.0100 left" in said
    assert "raise limits.cost_usd_max or budget.cost_usd_max" in said
    assert await booth.refused(0) != said


async def test_a_call_that_was_paid_is_answered_even_when_nothing_is_left(booth: Booth) -> None:
    first = await booth.turn(150_000)
    assert await booth.turn(150_000) == first
    assert len(booth.voice.asked) == 1
    await booth.refused(0)


async def test_without_a_bound_nothing_is_reserved(booth: Booth) -> None:
    """As sessions ask that began before there was one."""
    await booth.turn(None)
    assert booth.voice.asked[0].max_tokens == 16_000


async def test_a_model_without_a_price_is_asked_whatever_is_left_and_said_once(
    booth: Booth, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await booth.turn(0, model="another-of-my-own")
        await booth.turn(0, model="another-of-my-own", turn=8)
    assert [asked.max_tokens for asked in booth.voice.asked] == [16_000, 16_000]
    named = [getattr(one, "model", None) for one in caplog.records]
    assert named == ["another-of-my-own"]


async def test_what_is_attached_to_a_request_for_more_reaches_the_model(booth: Booth) -> None:
    diff = await booth.store.put_blob("-old\n+new")
    more = Continued(step="The review", text="Look again.", by="WorkTrain", attached=diff)
    await booth.turn(None, say=(more,))
    (message,) = booth.voice.asked[0].messages
    assert any(isinstance(one, TextBlock) and "-old\n+new" in one.text for one in message.blocks)


def asking(text: str, model: str = SONNET, max_tokens: int = 16_000) -> ModelRequest:
    said = Message(role="user", blocks=(TextBlock(text=text),))
    return ModelRequest(model=model, system=(), tools=(), messages=(said,), max_tokens=max_tokens)


def turn(spend: int) -> TurnRequest:
    return TurnRequest(
        session="s",
        turn=1,
        head=None,
        say=(),
        script="",
        context="",
        model="",
        max_tokens=1,
        spend_microdollars_max=spend,
    )


@settings(max_examples=200)
@given(
    st.text(max_size=50),
    st.integers(1, 4_000),
    st.integers(1, 64_000),
    st.integers(0, 2_000_000),
)
def test_whatever_is_asked_is_paid_or_not_asked(
    text: str, times: int, max_tokens: int, spend: int
) -> None:
    asked = asking(text * times, max_tokens=max_tokens)
    tokens = -(-len(asked.model_dump_json().encode()) // BYTES_PER_TOKEN)
    least = min(ANSWER_TOKENS_MIN, max_tokens)
    if cost_microdollars(SONNET, Usage(input=tokens, output=least)) > spend:
        with pytest.raises(AdapterError) as refused:
            reserved(asked, turn(spend))
        assert refused.value.kind is FailureKind.UNAFFORDABLE
        return
    # One more, because input and answer are each rounded up to a whole one.
    made = reserved(asked, turn(spend + 1))
    assert least <= made.max_tokens <= max_tokens
    assert cost_microdollars(SONNET, Usage(input=tokens, output=made.max_tokens)) <= spend + 1
    assert made == asked.model_copy(update={"max_tokens": made.max_tokens})


def test_a_text_of_other_letters_counts_by_its_bytes() -> None:
    with pytest.raises(AdapterError):
        reserved(asking("字" * 40_000), turn(100_000))
    assert reserved(asking("a" * 40_000), turn(100_000)).max_tokens > ANSWER_TOKENS_MIN


@pytest.mark.parametrize(
    ("input_tokens", "microdollars", "tokens"),
    [(0, 15_000_000, 1_000_000), (100_000, 450_000, 10_000), (100_000, 300_000, 0), (10, 0, 0)],
)
def test_an_answer_is_paid_from_what_its_input_leaves(
    input_tokens: int, microdollars: int, tokens: int
) -> None:
    assert answer_tokens_for(SONNET, input_tokens, microdollars) == tokens
    assert answer_tokens_for(FREE, input_tokens, microdollars) is None
