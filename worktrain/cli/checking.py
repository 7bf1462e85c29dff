"""`verify` and `doctor`: whether a delivery holds, and whether a first task could."""

import asyncio
import os
from pathlib import Path

import click

from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.settings import load

LINKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the note is the record that its checksum was made of", ("the note was", "the note is not")),
    ("it speaks of this commit and this tree", ("the note speaks",)),
    ("a verdict in it is about the merged tree", ("no verdict",)),
    ("the checks in it ran on this commit and its base", ("the checks in", "check ")),
    ("{store}", ("the note differs",)),
)
"""Each link of the proof, and how the sentences begin that say it is broken."""


@click.command()
@click.argument("commit")
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Any path inside the repository.",
)
@screen.json_option
def verify(commit: str, repo: Path, as_json: bool) -> Exit:
    """Check the proof that is attached to COMMIT, link by link. Needs no server."""
    from worktrain import access
    from worktrain.coordinators.prove import broken_links

    found = asyncio.run(access.attested(load(os.environ), str(repo.absolute()), commit))
    broken: tuple[str, ...] = (
        f"commit {found.at.commit[:12]} has no note in refs/notes/worktrain, neither here nor on "
        "a remote that could be reached; WorkTrain did not merge it",
    )
    links: list[tuple[bool, str]] = []
    if found.note is not None:
        try:
            broken = broken_links(found.note, found.at, found.stored)
        except RecursionError:
            # Anybody may write a note; only a hostile one is nested so deeply.
            broken = ("the note is not a WorkTrain proof record",)
        links = _links(broken, found.store_said)
    if as_json:
        screen.emit(
            {
                "commit": found.at.commit,
                "tree": found.at.tree,
                "ok": not broken,
                "broken": list(broken),
                "links": [{"ok": ok, "said": said} for ok, said in links],
            }
        )
        return Exit.FAILED if broken else Exit.DONE
    screen.say(f"commit {found.at.commit}\ntree   {found.at.tree}")
    for ok, said in links or [(False, said) for said in broken]:
        screen.say(f"  {'ok    ' if ok else 'BROKEN'} {said}")
    screen.say("the proof does not hold" if broken else "the proof holds")
    return Exit.FAILED if broken else Exit.DONE


def _links(broken: tuple[str, ...], store_said: str) -> list[tuple[bool, str]]:
    """Every link that was checked; a broken one is told by what is wrong with it."""
    left = list(broken)
    told: list[tuple[bool, str]] = []
    if any(said.startswith("the note is not") for said in broken):
        return [(False, said) for said in broken]
    for holds, starts in LINKS:
        mine = [said for said in left if said.startswith(starts)]
        left = [said for said in left if said not in mine]
        told += [(False, said) for said in mine]
        told += [] if mine else [(True, holds.format(store=store_said))]
    return told + [(False, said) for said in left]


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
