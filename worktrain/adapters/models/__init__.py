"""Models: who answers a turn."""

from collections.abc import Callable
from typing import Protocol

from worktrain.contracts.turn import ModelReply, ModelRequest


class ModelClient(Protocol):
    """One attempt at one model call; retries belong to the caller's caller."""

    async def reply(self, request: ModelRequest, progress: Callable[[str], None]) -> ModelReply:
        """Answer one turn.

        `progress` is called with a short text whenever something arrives. Raises
        `AdapterError`: rate_limited, overloaded, unreachable, stalled, auth, not_found,
        context_too_long, invalid.
        """
        ...
