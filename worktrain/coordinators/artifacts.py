"""What sessions have delivered."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel

from worktrain.contracts.artifact import Artifact

Kind = TypeVar("Kind", bound=BaseModel)


def newest(artifacts: Sequence[Artifact], kind: type[Kind]) -> Kind | None:
    """The latest artifact of a kind."""
    return next((a for a in reversed(artifacts) if isinstance(a, kind)), None)
