"""Signing: what every signer promises, and what the key in a file adds."""

import asyncio
import os
import stat
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from worktrain.adapters.signing import Signed, Signer
from worktrain.adapters.signing.ed25519 import Ed25519Signer
from worktrain.adapters.signing.in_memory import InMemorySigner
from worktrain.contracts.failure import AdapterError, FailureKind

MAKER = """
import asyncio, sys
from pathlib import Path
from worktrain.adapters.signing.ed25519 import Ed25519Signer

print("ready", flush=True)
sys.stdin.readline()
print(asyncio.run(Ed25519Signer(Path(sys.argv[1])).sign("a text")).key)
"""


@pytest.fixture(params=["in_memory", "ed25519"])
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> Signer:
    return InMemorySigner() if request.param == "in_memory" else Ed25519Signer(tmp_path / "keys")


def holds(signed: Signed, text: str) -> bool:
    """Asked of the library itself, not of our own reading of it."""
    key = Ed25519PublicKey.from_public_bytes(b64decode(signed.key, validate=True))
    try:
        key.verify(b64decode(signed.value, validate=True), text.encode())
    except InvalidSignature:
        return False
    return True


async def test_a_signature_is_of_exactly_its_text(signer: Signer) -> None:
    signed = await signer.sign("Grüße")
    assert holds(signed, "Grüße")
    assert not holds(signed, "Grüsse")


async def test_the_same_text_has_the_same_signature_every_time(signer: Signer) -> None:
    assert await signer.sign("a text") == await signer.sign("a text")
    assert (await signer.sign("another")).key == (await signer.sign("a text")).key


async def test_another_seed_is_another_key() -> None:
    assert (await InMemorySigner(b"s" * 32).sign("")).key != (await InMemorySigner().sign("")).key


# --- the key in a file ---------------------------------------------------------------------------


async def test_the_key_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "keys"
    signed = await Ed25519Signer(folder).sign("a text")
    assert sorted(path.name for path in folder.iterdir()) == [
        "proof-ed25519",
        "proof-ed25519.pub",
    ]
    assert stat.S_IMODE((folder / "proof-ed25519").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "proof-ed25519.pub").read_text() == f"{signed.key}\n"
    assert await Ed25519Signer(folder).sign("a text") == signed


def test_of_processes_that_need_a_key_at_once_all_have_the_same(tmp_path: Path) -> None:
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKER, str(tmp_path / "keys")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for maker in makers:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "ready\n"
    keys = {maker.communicate("go\n", timeout=30)[0] for maker in makers}
    assert len(keys) == 1
    assert len(list((tmp_path / "keys").iterdir())) == 2


async def test_tasks_that_need_a_key_at_once_all_have_the_same(tmp_path: Path) -> None:
    signed = await asyncio.gather(*(Ed25519Signer(tmp_path / "k").sign("x") for _ in range(16)))
    assert len(set(signed)) == 1


async def test_a_public_half_that_is_missing_or_another_is_written_again(tmp_path: Path) -> None:
    signer, public = Ed25519Signer(tmp_path), tmp_path / "proof-ed25519.pub"
    key = (await signer.sign("")).key
    for spoil in (public.unlink, lambda: public.write_text("another\n")):
        spoil()
        await signer.sign("")
        assert public.read_text() == f"{key}\n"


def pem_of_another_kind() -> bytes:
    return X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"", 0o600, "it is not a private key in PEM"),
        (b"SECRET", 0o600, "it is not a private key in PEM"),
        (pem_of_another_kind(), 0o600, "another kind than ed25519"),
        (b"SECRET", 0o640, "others than its owner may use it (mode 0640, wanted is 0600)"),
    ],
)
async def test_a_key_that_may_not_be_used_is_told_and_left_alone(
    tmp_path: Path, content: bytes, mode: int, said: str
) -> None:
    path = tmp_path / "proof-ed25519"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(AdapterError) as caught:
        await Ed25519Signer(tmp_path).sign("a text")
    assert caught.value.kind == FailureKind.MISCONFIGURED
    assert said in caught.value.said
    assert "SECRET" not in caught.value.said
    assert path.read_bytes() == content


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AdapterError, match="that failed: Not a directory") as caught:
        await Ed25519Signer(tmp_path / "file" / "keys").sign("a text")
    assert caught.value.kind == FailureKind.MISCONFIGURED


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_key_in_a_place_that_only_may_be_read_still_signs(tmp_path: Path) -> None:
    signed = await Ed25519Signer(tmp_path).sign("a text")
    (tmp_path / "proof-ed25519.pub").unlink()
    tmp_path.chmod(0o500)
    assert await Ed25519Signer(tmp_path).sign("a text") == signed
