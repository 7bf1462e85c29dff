"""`verify` and `doctor`: whether a delivery holds, and whether a first task could."""

import asyncio
import os
from pathlib import Path

import click

from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.settings import load

OWN_KEY = "keys/proof-ed25519.pub"
"""Below a home: what signs its proofs, and may be shown to anybody."""


@click.command()
@click.argument("commit")
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Any path inside the repository.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Public key that must have signed it; else this machine's own, if it has one.",
)
@screen.json_option
def verify(commit: str, repo: Path, key: Path | None, as_json: bool) -> Exit:
    """Check the proof that is attached to COMMIT, link by link. Needs no server."""
    from worktrain import access
    from worktrain.coordinators.prove.links import Link, links

    settings = load(os.environ)
    expected = _expected(key, settings.home / OWN_KEY)
    found = asyncio.run(access.attested(settings, str(repo.absolute()), commit))
    if found.note is None:
        missing = (
            f"commit {found.at.commit[:12]} has no note in refs/notes/worktrain, neither here nor "
            "on a remote that could be reached; WorkTrain did not merge it"
        )
        checked: tuple[Link, ...] = (Link(holds="the commit has a proof", broken=(missing,)),)
    else:
        checked = links(found.note, found.at, found.stored, expected, access.genuine)
    told = [(not link.broken, said) for link in checked for said in link.broken or (link.holds,)]
    broken = [said for ok, said in told if not ok]
    if as_json:
        screen.emit(
            {
                "commit": found.at.commit,
                "tree": found.at.tree,
                "ok": not broken,
                "broken": broken,
                "links": [{"ok": ok, "said": said} for ok, said in told],
            }
        )
        return Exit.FAILED if broken else Exit.DONE
    screen.say(f"commit {found.at.commit}\ntree   {found.at.tree}")
    for ok, said in told:
        screen.say(f"  {'ok    ' if ok else 'BROKEN'} {said}")
    if found.note is not None and found.stored is None:
        screen.say(f"  note   {found.store_said}")
    screen.say("the proof does not hold" if broken else "the proof holds")
    return Exit.FAILED if broken else Exit.DONE


def _expected(named: Path | None, own: Path) -> str | None:
    """The key that must have signed, in base64; None when nobody here knows it."""
    from worktrain import access

    path = named or own
    if named is None and not own.is_file():
        return None
    try:
        key = path.read_text(encoding="ascii").strip()
        if access.is_public_key(key):
            return key
    except (OSError, ValueError):
        pass
    raise click.UsageError(
        f"{path} is not a public key of WorkTrain's: one line of base64 is wanted, as in the file "
        f"{OWN_KEY} in the home of the machine that merged."
    )


@click.command()
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Look at this repository as well.",
)
@click.option("--probe", is_flag=True, help="Ask the model's server whether it takes the key.")
@screen.json_option
def doctor(repo: Path | None, probe: bool, as_json: bool) -> Exit:
    """Look at everything that a task needs; each failure says what to do."""
    from worktrain.doctor import examine

    checks = asyncio.run(examine(load(os.environ), repo.absolute() if repo else None, probe))
    healthy = all(check.ok for check in checks)
    if as_json:
        screen.emit({"ok": healthy, "checks": [check.model_dump(mode="json") for check in checks]})
        return Exit.DONE if healthy else Exit.FAILED
    for check in checks:
        screen.say(f"{'ok    ' if check.ok else 'FAILED'} {check.name}: {check.said}")
        if check.fix and not check.ok:
            screen.say(f"       {check.fix}")
    return Exit.DONE if healthy else Exit.FAILED
