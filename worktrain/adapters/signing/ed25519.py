"""Signing with an ed25519 key in a file of this machine, made when it is first needed."""

import asyncio
import base64
import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from worktrain.adapters.signing import Signed
from worktrain.contracts.failure import AdapterError, FailureKind

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAME = "proof-ed25519"
PUBLIC_KEY_BYTES = 32


class Ed25519Signer:
    """The key is `proof-ed25519` in a folder, for this user alone (PKCS #8, PEM). Its public half
    lies beside it as `proof-ed25519.pub`: the base64 of the raw key, one line."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    async def sign(self, text: str) -> Signed:
        # Read each time: a key that was put in its place by hand is the one that counts.
        return await asyncio.to_thread(self._sign, text)

    def _sign(self, text: str) -> Signed:
        try:
            key = _private(self._pem())
            signed = signed_with(key, text)
            # A key in a place that only may be read still signs.
            with suppress(OSError):
                self._show(signed.key)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise AdapterError(
                FailureKind.DISK_FULL if full else FailureKind.MISCONFIGURED,
                f"The key that signs proofs was to be read or made at {self._path}, and that "
                f"failed: {error.strerror}. Give this user the folder, with space in it, then "
                f"resume.",
            ) from error
        except ValueError as error:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"The key that signs proofs was read from {self._path}, and it cannot be used: "
                f"{error}. Put it right, or move it away so that a new one is made, then resume.",
            ) from error
        return signed

    def _pem(self) -> bytes:
        """The private key's file, made if there is none. Raises OSError, ValueError."""
        try:
            return _own(self._path)
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _put_if_missing(self._path, _fresh_pem())
            # Of two processes that make one at the same time, both use the one that is there.
            return _own(self._path)

    def _show(self, key: str) -> None:
        public = self._path.with_name(f"{NAME}.pub")
        line = f"{key}\n".encode()
        if not public.exists() or public.read_bytes() != line:
            made = _beside(public, line, 0o644)
            os.replace(made, public)


def signed_with(key: "Ed25519PrivateKey", text: str) -> Signed:
    """What a key makes of a text."""
    public = key.public_key().public_bytes_raw()
    value = key.sign(text.encode())
    return Signed(base64.b64encode(public).decode(), base64.b64encode(value).decode())


def _private(pem: bytes) -> "Ed25519PrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # What the library says may quote the file.
        raise ValueError("it is not a private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is a key of another kind than ed25519")
    return key


def genuine(key: str, value: str, text: str) -> bool:
    """Whether a signature is by this key over the UTF-8 bytes of a text, both in base64 and
    written in the one way in which they can be."""
    # 30 ms, which only a signed record costs.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(_bytes_of(key)).verify(_bytes_of(value), text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def is_public_key(text: str) -> bool:
    """Whether a text is a raw public key in base64."""
    try:
        return len(_bytes_of(text)) == PUBLIC_KEY_BYTES
    except ValueError:
        return False


def _fresh_pem() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _own(path: Path) -> bytes:
    """The content of a file that only its owner may read. Raises OSError, ValueError."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if os.name == "posix" and mode & 0o077:
            raise ValueError(f"others than its owner may use it (mode {mode:04o}, wanted is 0600)")
        return file.read()


def _put_if_missing(path: Path, content: bytes) -> None:
    made = _beside(path, content, 0o600)
    try:
        # A link is all or nothing, and fails when another process was first.
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()


def _beside(path: Path, content: bytes, mode: int) -> Path:
    """A new file next to another, whole and on the disk."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return made


def _bytes_of(text: str) -> bytes:
    """Raises ValueError, also for a text that another one means as well."""
    content = base64.b64decode(text, validate=True)
    if base64.b64encode(content).decode() != text:
        raise ValueError("not the one base64 text of these bytes")
    return content
