"""Signing with an ed25519 key that lives as long as its process, for tests and demos."""

from worktrain.adapters.signing import Signed
from worktrain.adapters.signing.ed25519 import signed_with


class InMemorySigner:
    """The same seed of 32 bytes makes the same key, so that signatures can be foretold."""

    def __init__(self, seed: bytes = b"worktrain: a key for tests only.") -> None:
        self._seed = seed

    async def sign(self, text: str) -> Signed:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return signed_with(Ed25519PrivateKey.from_private_bytes(self._seed), text)
