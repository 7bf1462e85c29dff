"""What a reviewer is shown of a change: its patch, bounded, with every omission named."""

import re
from collections.abc import Sequence

from worktrain.adapters.workspaces.git import printable, split
from worktrain.adapters.workspaces.repository import Repository
from worktrain.contracts.failure import FailureKind

FILE_CHARACTERS_MAX = 8_000
DIFF_CHARACTERS_MAX = 100_000
NAMES_CHARACTERS_MAX = 20_000


async def diff(found: Repository, base: str, candidate: str) -> str:
    """Against the point where the candidate left the base, so that what the base has gained
    since is not shown as taken away. The names of what is not shown come on top of the
    100,000 characters, up to 20,000 more."""
    at, to = await found.commit(base), await found.commit(candidate)
    doing = f"Comparing {at.commit} with {to.commit}"
    fork = await found.git.attempt(found.at, "merge-base", at.commit, to.commit, doing=doing)
    ends = (fork.text.strip() or at.commit, to.commit)
    # No attributes are consulted, neither the candidate's nor those in the owner's index: one of
    # them could declare code binary and so keep it from the reviewer.
    env = {"GIT_INDEX_FILE": str(found.common / "worktrain-no-index"), "GIT_ATTR_NOSYSTEM": "1"}
    patch = await found.git.attempt(
        found.at,
        "diff-tree",
        "-r",
        "-p",
        "-M",
        "--no-ext-diff",
        "--no-textconv",
        "--submodule=short",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        *ends,
        doing=doing,
        out_bytes_max=16_000_000,
        config=("core.attributesFile=/dev/null",),
        env=env,
    )
    if patch.code != 0:
        raise found.git.failed(patch, FailureKind.CONFLICT, doing)
    sections = [
        (_named_in(part), "diff --git " + part)
        for part in re.split(r"^diff --git ", printable(patch.text), flags=re.MULTILINE)[1:]
    ]
    if not patch.cut:
        return shortened(sections)
    listed = await found.git.run(
        found.at, "diff-tree", "-r", "-z", "--name-only", *ends, doing=doing
    )
    seen = {name for name, _ in sections}
    return shortened(sections, [n for n in map(printable, split(listed)) if n not in seen])


def shortened(sections: Sequence[tuple[str, str]], unread: Sequence[str] = ()) -> str:
    """Patches by file, cut to what a reviewer is shown; `unread` names files without one."""
    shown: list[str] = []
    room = DIFF_CHARACTERS_MAX
    cut: list[str] = []
    left_out = list(unread)
    for name, text in sections:
        part = text[:FILE_CHARACTERS_MAX]
        if len(part) > room:
            left_out.append(name)
            continue
        room -= len(part)
        if len(part) < len(text):
            cut.append(f"{name} ({len(part)} of {len(text)} characters)")
            part += "\n"
        shown.append(part)
    return "".join(shown) + _names("Shortened", cut) + _names("Not shown", left_out)


def _names(title: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    lines, room = [f"\n[{title}: {len(names)} file(s)]"], NAMES_CHARACTERS_MAX // 2
    for count, name in enumerate(names):
        room -= len(name) + 1
        if room < 0:
            lines.append(f"… and {len(names) - count} more")
            break
        lines.append(name)
    return "\n".join(lines) + "\n"


def _named_in(section: str) -> str:
    header = section.partition("\n")[0]
    half = (len(header) - 1) // 2
    same = header[2:half] == header[half + 3 :]
    return header[2:half] if same else header
