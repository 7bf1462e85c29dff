"""`worktrain verify`: a proof in a real repository holds, and a changed byte breaks it."""

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from worktrain.adapters.forges.local_git import LocalGitForge
from worktrain.adapters.signing.ed25519 import Ed25519Signer
from worktrain.adapters.stores.sql import SqlStore
from worktrain.adapters.workspaces.git import Git
from worktrain.cli.main import cli
from worktrain.contracts.artifact import Confidence, ReviewVerdict
from worktrain.contracts.proof import (
    CheckComparison,
    CheckEnding,
    CheckRun,
    Proof,
    Review,
    Verification,
)
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import Base, CommitRef
from worktrain.coordinators.prove import Signature, canonical, signed_text
from worktrain.settings import load


@dataclass(frozen=True)
class Delivery:
    """A repository with a base and a merged commit that has no note yet."""

    repo: Path
    base: CommitRef
    merged: CommitRef

    def git(self, *words: str, stdin: bytes = b"") -> str:
        return _git(self.repo, *words, stdin=stdin)

    @property
    def proof(self) -> Proof:
        return Proof(
            pipeline="task/shop-1a2b/fix-it-3c4d",
            task=Task(source="typed", title="Fix it"),
            base=self.base,
            merged=self.merged,
            base_branch="main",
            criteria=(),
            phases=(),
            reviews=(
                Review(
                    session="task/shop-1a2b/fix-it-3c4d/review-1",
                    at=self.merged,
                    verdict=ReviewVerdict(
                        verdict="clean", confidence=Confidence.HIGH, summary="Right."
                    ),
                ),
            ),
            verification=Verification(
                base=self.base,
                candidate=self.merged,
                checks=(
                    CheckComparison(
                        name="tests",
                        base=self._ran(self.base),
                        candidate=self._ran(self.merged),
                    ),
                ),
            ),
            decisions=(),
            usage=Usage(),
            cost_microdollars=0,
        )

    def _ran(self, at: CommitRef) -> CheckRun:
        return CheckRun(
            name="tests",
            command="make test",
            at=at,
            ending=CheckEnding.PASSED,
            exit_code=0,
            seconds=1.0,
        )

    def note(self, text: str) -> None:
        """Attach a note as WorkTrain does."""
        base = Base(branch="main", at=self.base)
        forge = LocalGitForge(Git())
        asyncio.run(forge.attach_note(str(self.repo), base, self.merged.commit, text))

    def note_bytes(self, content: bytes) -> None:
        """Attach a note as anybody can."""
        blob = self.git("hash-object", "-w", "--stdin", stdin=content)
        self.git("notes", "--ref=worktrain", "add", "-f", "-C", blob, self.merged.commit)


@pytest.fixture
def delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Delivery:
    for name in [n for n in os.environ if n.startswith(("TEMPORAL_", "WORKTRAIN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORKTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    repo = tmp_path / "shop"
    repo.mkdir()
    _git(repo, "init", "-q", "-b", "main")
    return Delivery(repo, _commit(repo, "one"), _commit(repo, "two"))


def _commit(repo: Path, content: str) -> CommitRef:
    (repo / "a.txt").write_text(content)
    _git(repo, "add", "-A")
    _git(repo, "commit", "-q", "-m", content)
    commit, tree = _git(repo, "rev-parse", "HEAD", "HEAD^{tree}").split()
    return CommitRef(commit=commit, tree=tree)


def _git(repo: Path, *words: str, stdin: bytes = b"") -> str:
    who = ("-c", "user.name=Olive", "-c", "user.email=olive@example.invalid")
    call = ["git", "-C", str(repo), *who, *words]
    return (
        subprocess.run(call, input=stdin, capture_output=True, check=True).stdout.decode().strip()
    )


def verify(delivery: Delivery, commit: str = "HEAD", *words: str) -> Result:
    return CliRunner().invoke(cli, ["verify", commit, "--repo", str(delivery.repo), *words])


def broken(delivery: Delivery) -> str:
    """What `verify` finds broken; it must say so with its exit code as well."""
    checked = verify(delivery, "HEAD", "--json")
    told = json.loads(checked.stdout)
    assert (checked.exit_code, told["ok"]) == (1, False)
    assert [link["said"] for link in told["links"] if not link["ok"]] == told["broken"]
    return "\n".join(told["broken"])


def test_a_proof_that_holds_is_told_link_by_link(delivery: Delivery, tmp_path: Path) -> None:
    delivery.note(canonical(delivery.proof))
    checked = verify(delivery)
    assert checked.exit_code == 0, checked.output
    assert "BROKEN" not in checked.stdout
    assert checked.stdout.count("  ok ") == 5
    assert "it is not signed, as no record of its format is" in checked.stdout
    assert delivery.merged.tree in checked.stdout
    told = json.loads(verify(delivery, delivery.merged.commit[:12], "--json").stdout)
    assert (told["commit"], told["ok"]) == (delivery.merged.commit, True)
    assert not (tmp_path / "home").exists(), "looking must not make a store"


def test_a_changed_byte_anywhere_breaks_it(delivery: Delivery) -> None:
    whole = canonical(delivery.proof).encode()
    title = whole.index(b'"Fix it"') + 1
    for place in (title, len(whole) - 10):
        content = bytearray(whole)
        content[place] ^= 1
        delivery.note_bytes(bytes(content))
        assert "the note was altered" in broken(delivery)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b'{"proof": 1}', b"[" * 100_000])
def test_a_note_that_is_no_record_breaks_it(delivery: Delivery, content: bytes) -> None:
    delivery.note_bytes(content)
    assert "not a WorkTrain proof record" in broken(delivery)


def test_a_record_of_another_commit_breaks_it(delivery: Delivery) -> None:
    other = delivery.proof.model_copy(update={"merged": delivery.base})
    delivery.note(canonical(other))
    said = broken(delivery)
    assert f"the note speaks of commit {delivery.base.commit[:12]}" in said
    assert "no verdict in the record is about the merged tree" in said
    assert "ran on another commit" in said


def test_a_failed_check_breaks_it(delivery: Delivery) -> None:
    proof = delivery.proof
    (pair,) = proof.verification.checks
    failed = pair.candidate.model_copy(update={"ending": CheckEnding.FAILED, "exit_code": 1})
    checks = (pair.model_copy(update={"candidate": failed}),)
    verification = proof.verification.model_copy(update={"checks": checks})
    delivery.note(canonical(proof.model_copy(update={"verification": verification})))
    assert "check 'tests' fails with exit code 1" in broken(delivery)


def test_the_stores_copy_is_compared_where_there_is_one(delivery: Delivery) -> None:
    note = canonical(delivery.proof)
    _store(delivery, note)
    delivery.note(note)
    checked = verify(delivery)
    assert checked.exit_code == 0
    assert "this machine's store has the same record" in checked.stdout
    forged = delivery.proof.model_copy(update={"cost_microdollars": 1})
    delivery.note(canonical(forged))
    assert broken(delivery) == "the note differs from the record in this machine's store"


# --- whose signature -----------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """This machine's, with the public key that its proofs are signed with."""
    asyncio.run(Ed25519Signer(tmp_path / "home/keys").sign(""))
    return tmp_path / "home"


def signed(delivery: Delivery, folder: Path) -> str:
    by = asyncio.run(Ed25519Signer(folder).sign(signed_text(delivery.proof)))
    return canonical(delivery.proof, Signature(key=by.key, value=by.value))


def test_a_signature_by_this_machines_own_key_holds(delivery: Delivery, home: Path) -> None:
    delivery.note(signed(delivery, home / "keys"))
    checked = verify(delivery)
    assert checked.exit_code == 0, checked.output
    assert "ok     it is signed by the key that was expected" in checked.stdout


def test_a_signature_by_another_machines_key_is_told(
    delivery: Delivery, home: Path, tmp_path: Path
) -> None:
    delivery.note(signed(delivery, tmp_path / "elsewhere"))
    said = broken(delivery)
    assert "was expected; if another machine of yours merged it" in said
    public = tmp_path / "elsewhere/proof-ed25519.pub"
    assert verify(delivery, "HEAD", "--key", str(public)).exit_code == 0
    public.unlink()
    assert verify(delivery, "HEAD", "--key", str(public)).exit_code == 2


def test_where_no_key_is_known_the_signature_is_checked_and_that_is_told(
    delivery: Delivery, tmp_path: Path
) -> None:
    delivery.note(signed(delivery, tmp_path / "elsewhere"))
    checked = verify(delivery)
    assert checked.exit_code == 0
    assert "whose key to expect was not said (--key)" in checked.stdout


def test_a_changed_byte_of_the_signature_breaks_it(delivery: Delivery, home: Path) -> None:
    whole = signed(delivery, home / "keys")
    record = json.loads(whole)
    value = record["signature"]["value"]
    # The last character of base64 has bits that mean nothing; they may not be others either.
    for other in ("A" + value[1:], value[:-3] + chr(ord(value[-3]) + 1) + "==", value[:-1]):
        delivery.note_bytes(whole.replace(value, other).encode())
        assert "the signature does not fit" in broken(delivery)


@pytest.mark.parametrize("content", [b"", b"AAAA\n", b"\xff" * 32, b"-----BEGIN PUBLIC KEY-----"])
def test_a_key_that_is_none_is_a_usage_error(
    delivery: Delivery, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "key.pub").write_bytes(content)
    failed = verify(delivery, "HEAD", "--key", str(tmp_path / "key.pub"))
    assert failed.exit_code == 2
    assert "is not a public key of WorkTrain's: one line of base64 is wanted" in failed.stderr


def test_a_record_of_format_2_is_told_with_all_its_links(delivery: Delivery, home: Path) -> None:
    bare = delivery.proof.model_copy(update={"format": "worktrain-proof-2"})
    by = asyncio.run(Ed25519Signer(home / "keys").sign(signed_text(bare)))
    delivery.note(canonical(bare, Signature(key=by.key, value=by.value)))
    said = broken(delivery)
    for missing in ("no examination", "no trace matrix", "no finding ledger"):
        assert missing in said
    assert "signature" not in said
    delivery.note(canonical(bare))
    assert "the record is not signed, as one of its format must be" in broken(delivery)


def _store(delivery: Delivery, note: str) -> None:
    async def keep() -> None:
        settings = load(os.environ)
        settings.open_home()
        store = await SqlStore.open(settings.store_url)
        await store.put_proof(delivery.merged.commit, delivery.proof.pipeline, note)
        await store.close()

    asyncio.run(keep())


def test_a_commit_without_a_note_is_not_proven(delivery: Delivery) -> None:
    checked = verify(delivery)
    assert checked.exit_code == 1
    assert "has no note" in checked.stdout


def test_a_commit_that_is_not_there_is_a_usage_error(delivery: Delivery) -> None:
    failed = verify(delivery, "feedbeef")
    assert failed.exit_code == 2
    assert "feedbeef" in failed.stderr
