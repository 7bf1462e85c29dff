"""Models: who answers a turn."""

from collections.abc import Callable
from typing import Protocol

from worktrain.adapters.models.prices import answer_tokens_for
from worktrain.contracts.turn import ModelReply, ModelRequest

__all__ = ["ModelClient", "answer_tokens_for"]


class ModelClient(Protocol):
    """One attempt at one model call; retries belong to the caller's caller."""

    async def reply(self, request: ModelRequest, progress: Callable[[str], None]) -> ModelReply:
        """Answer one turn.

        `progress` is called with a short text whenever something arrives. Raises
        `AdapterError`: rate_limited, overloaded, unreachable, stalled, auth, not_found,
        context_too_long, invalid.
        """
        ...
