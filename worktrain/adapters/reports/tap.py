"""The Test Anything Protocol, versions 12 to 14: one line a test, subtests indented."""

import re

from worktrain.adapters.reports.report import TestReport, reported, shortened

_PLAN = re.compile(r"^( *)1\.\.(\d{1,6})\b", re.MULTILINE)
_LINE = re.compile(
    r"^( *)(?:# Subtest: (?P<subtest>.*)"
    r"|(?P<not>not )?ok\b *(?P<number>\d+)? *(?:- )?(?P<said>.*))$",
    re.MULTILINE,
)
_DIRECTIVE = re.compile(r"(?:^|\s)#\s*(skip|todo)\w*\b", re.IGNORECASE)
_BAIL = re.compile(r"^ *Bail out!", re.MULTILINE)


def parse(output: str) -> TestReport | None:
    """What a TAP stream says, None for a text that has no plan and so is none."""
    plan = next((found for found in _PLAN.finditer(output) if not found[1]), None)
    if plan is None:
        return None
    ended: list[tuple[str, str]] = []
    above: dict[int, str] = {}
    count = 0
    for line in _LINE.finditer(output):
        indent = len(line[1])
        if line["subtest"] is not None:
            # Written at the indentation of the result that follows it, or one step deeper.
            above = {depth: name for depth, name in above.items() if depth < indent}
            above[indent] = line["subtest"].strip()
            continue
        count += not indent
        said, directive = line["said"], _DIRECTIVE.search(line["said"])
        name = (said[: directive.start()] if directive else said).strip()
        named = name or f"test {line['number'] or count}"
        path = [above[depth] for depth in sorted(above) if depth < indent or above[depth] != named]
        ended.append((shortened(" > ".join((*path, named))), _outcome(line["not"], directive)))
        if above.get(indent) == named:
            del above[indent]
    planned = int(plan[2])
    if not ended and planned:
        return None
    ended += [(f"test {number} of the plan", "error") for number in range(count + 1, planned + 1)]
    if _BAIL.search(output):
        ended.append(("the run, which bailed out", "error"))
    return reported(ended)


def _outcome(failed: str | None, directive: re.Match[str] | None) -> str:
    # Something still to be done counts as skipped even if it passes: it promises nothing.
    if directive:
        return "skipped"
    return "failed" if failed else "passed"
