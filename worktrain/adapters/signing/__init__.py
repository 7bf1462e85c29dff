"""Signing: what shows that a proof was written by the holder of a key."""

from typing import NamedTuple, Protocol


class Signed(NamedTuple):
    """A signature and the key that checks it, both in base64."""

    key: str
    """The raw public key."""
    value: str


class Signer(Protocol):
    async def sign(self, text: str) -> Signed:
        """Sign the UTF-8 bytes of a text; the same text has the same signature every time. The
        private key is never handed out.

        Raises `AdapterError`: misconfigured (there is no key that may be used, and why),
        disk_full.
        """
        ...
