"""What every contract is made of."""

from hashlib import sha256
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

JsonObject = dict[str, Any]


class Value(BaseModel):
    """A fact that may stand in a history.

    Unknown fields are ignored and every later field needs a default: histories recorded by
    another version must keep replaying.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


def absent(value: object) -> bool:
    """For `Field(exclude_if=absent)`: what says nothing is not written into a history."""
    return not value


class Authored(BaseModel):
    """Something that a person or a model wrote: an unknown key in it is a mistake.

    It is refused where it is read (`engine.parse`, `engine.contracts_check`). Once accepted it is
    a value like any other, which a history may hold with fields of a later version.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", json_schema_extra={"additionalProperties": False}
    )


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
"""One line of text, 1 to 300 characters."""


def digest(content: str | bytes) -> str:
    """The sha256 of a text (as UTF-8) or of bytes, in hex: its name in the store."""
    return sha256(content.encode() if isinstance(content, str) else content).hexdigest()
