"""Are a step's notes there, of the right length, and what its validationCriteria ask for?

Source of the criteria: WorkRail's workflow schema, section 1.2.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from worktrain.contracts.base import JsonObject
from worktrain.contracts.turn import Blocker, BlockerCode, Pointer
from worktrain.contracts.workspace import Limits
from worktrain.engine.blocker import blocker
from worktrain.engine.conditions import DEPTH_MAX, Unusable, holds, searched
from worktrain.engine.schemas import problems, schema_fault

FLAGS_TAKEN = "ims"
FLAGS_IGNORED = "dguvy"
"""JavaScript's flags that do not change whether a pattern is found."""


@dataclass(frozen=True)
class Broken:
    """What a rule's author says about its being broken, and what it asks for."""

    message: str
    fix: str


def blockers_of(
    notes: str,
    required: bool,
    criteria: JsonObject | None,
    context: Mapping[str, Any],
    limits: Limits,
) -> tuple[Blocker, ...]:
    """Why notes are not accepted; never raises.

    Notes that are not required may be short. `criteria` are looked at when the
    length is right: characters without surrounding white space, UTF-8 bytes with it.
    """
    if not notes.strip():
        wanted = "Say what was done, what was found, and what shows that it is so."
        missing = f"The notes are missing. At least {_least(limits):,} characters are wanted."
        return (_blocked(missing, wanted, BlockerCode.MISSING_REQUIRED_NOTES),) if required else ()
    wrong = _size_fault(notes, limits, required)
    if wrong:
        return (_blocked(wrong.message, wrong.fix),)
    unusable = criteria_fault(criteria) if criteria else ""
    if unusable:
        return (
            _blocked(
                f"The step's validationCriteria cannot be used: {unusable}.",
                "No notes can satisfy them. Report this with report_issue: the spec must change.",
            ),
        )
    broken = _judged(criteria, notes, context) if criteria else ()
    return tuple(_blocked(one.message, one.fix) for one in broken or ())[: limits.blockers_max]


def criteria_fault(criteria: JsonObject) -> str:
    """Why validationCriteria cannot be used whatever the notes are, or nothing."""
    try:
        _wants(criteria, 0)
    except Unusable as error:
        return str(error)
    return ""


def _size_fault(notes: str, limits: Limits, required: bool) -> Broken | None:
    characters = len(notes.strip())
    if required and characters < limits.notes_chars_min:
        return Broken(
            f"The notes have {characters:,} characters; at least {limits.notes_chars_min:,} are "
            f"wanted.",
            "Say what was done, what was found, and what shows that it is so.",
        )
    size = len(notes.encode("utf-8", "surrogatepass"))
    if size > limits.notes_bytes_max:
        return Broken(
            f"The notes have {size:,} bytes of UTF-8; at most {limits.notes_bytes_max:,} are "
            f"taken.",
            f"Shorten them by {size - limits.notes_bytes_max:,} bytes or more; nothing is cut. "
            f"Long material belongs in a file whose path the notes give.",
        )
    # Only a lone surrogate is left that cannot be stored.
    if any("\ud800" <= one <= "\udfff" for one in notes):
        return Broken("The notes are no valid Unicode text.", "Leave out lone surrogates.")
    return None


def _judged(criteria: Any, notes: str, context: Mapping[str, Any]) -> tuple[Broken, ...] | None:
    """What is broken of criteria that can be used; None when no rule of theirs applies."""
    if "type" in criteria:
        condition = criteria.get("condition")
        if condition is not None and not holds(condition, context):
            return None
        why = _RULES[criteria["type"]].why(criteria, notes)
        return (_broken(criteria, why),) if why else ()
    found: list[tuple[Broken, ...]] = []
    for form, parts in _compositions(criteria):
        judged = [_judged(part, notes, context) for part in parts]
        known = [one for one in judged if one is not None]
        if form == "and":
            found += known
        elif known:
            # One alternative without anything broken is enough, and the one thing too much.
            right = (() in known) == (form == "or")
            found.append(() if right else (_broken({form: criteria[form]}),))
    return tuple(one for broken in found for one in broken) if found else None


def _broken(criteria: Mapping[str, Any], why: str = "") -> Broken:
    return Broken(_messages(criteria), f"{why} The notes must {_wants(criteria, 0)}.".strip())


def _wants(criteria: Any, depth: int) -> str:
    """What criteria ask for, to be read after "the notes must". Raises Unusable."""
    if depth >= DEPTH_MAX:
        raise Unusable(f"they are nested more than {DEPTH_MAX} deep")
    if not isinstance(criteria, Mapping):
        raise Unusable("a rule is an object with a `type`, or `and`, `or`, `not` over rules")
    if "type" in criteria:
        kind = criteria["type"]
        if not isinstance(kind, str) or kind not in _RULES:
            raise Unusable(f"a rule's `type` is one of {', '.join(_RULES)}")
        return _RULES[kind].want(criteria)
    told = []
    for form, parts in _compositions(criteria):
        wants = [_wants(part, depth + 1) for part in parts]
        if form == "not":
            told.append(f"not {wants[0]}")
        else:
            joined = f" {form} ".join(wants)
            told.append(f"({joined})" if depth and len(wants) > 1 else joined)
    return " and ".join(told)


def _compositions(criteria: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    found: list[tuple[str, list[Any]]] = []
    for form in ("and", "or", "not"):
        parts = criteria.get(form)
        if parts is None:
            continue
        if form != "not" and not isinstance(parts, list | tuple):
            raise Unusable(f"`{form}` is a list of rules")
        found.append((form, [parts] if form == "not" else list(parts)))
    return found


def _messages(criteria: Any) -> str:
    """The messages of the rules in it, in order."""
    if "type" in criteria:
        return str(criteria.get("message") or "The notes break a rule of the step.")
    parts = [part for _, parts in _compositions(criteria) for part in parts]
    return " / ".join(dict.fromkeys(_messages(part) for part in parts))


def _blocked(message: str, fix: str, code: BlockerCode = BlockerCode.INVALID_NOTES) -> Blocker:
    return blocker(code, Pointer(kind="notes", name="notes"), message, fix)


def _least(limits: Limits) -> int:
    return max(limits.notes_chars_min, 1)


@dataclass(frozen=True)
class Rule:
    """A kind of rule: what it asks for, raising Unusable, and why notes break it, if they do."""

    want: Callable[[Mapping[str, Any]], str]
    why: Callable[[Mapping[str, Any], str], str]


def _text_of(rule: Mapping[str, Any], field: str) -> str:
    text = rule.get(field)
    if not isinstance(text, str):
        raise Unusable(f"a rule of type {rule['type']!r} needs `{field}`, a text")
    return text


def _contains_want(rule: Mapping[str, Any]) -> str:
    return f"contain {_text_of(rule, 'value')!r}"


def _contains_why(rule: Mapping[str, Any], notes: str) -> str:
    return "" if rule["value"] in notes else "The text is not there."


def _regex_want(rule: Mapping[str, Any]) -> str:
    searched(_pattern(rule), "")
    return f"match the pattern {_pattern(rule)!r}"


def _regex_why(rule: Mapping[str, Any], notes: str) -> str:
    return "" if searched(_pattern(rule), notes) else "The pattern is not found."


def _pattern(rule: Mapping[str, Any]) -> str:
    pattern, flags = _text_of(rule, "pattern"), rule.get("flags") or ""
    if not isinstance(flags, str) or any(f not in FLAGS_TAKEN + FLAGS_IGNORED for f in flags):
        raise Unusable(f"the flags of a pattern are among {FLAGS_TAKEN}")
    taken = "".join(flag for flag in FLAGS_TAKEN if flag in flags)
    return f"(?{taken}){pattern}" if taken else pattern


def _bounds(rule: Mapping[str, Any]) -> tuple[int | None, int | None]:
    least, most = rule.get("min"), rule.get("max")
    for bound in (least, most):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int)):
            raise Unusable("`min` and `max` of a length are whole numbers")
    return least, most


def _length_want(rule: Mapping[str, Any]) -> str:
    least, most = _bounds(rule)
    told = [f"at least {least:,}"] if least is not None else []
    told += [f"at most {most:,}"] if most is not None else []
    return f"have {' and '.join(told) or 'any number of'} characters"


def _length_why(rule: Mapping[str, Any], notes: str) -> str:
    least, most = _bounds(rule)
    count = len(notes)
    fits = (least is None or count >= least) and (most is None or count <= most)
    return "" if fits else f"The notes have {count:,} characters."


def _schema_want(rule: Mapping[str, Any]) -> str:
    fault = schema_fault(rule.get("schema"))
    if fault:
        raise Unusable(f"a rule's `schema` is no JSON Schema that can be used: {fault}")
    written = json.dumps(rule["schema"], ensure_ascii=False)
    return f"be JSON and nothing else, and satisfy the JSON Schema {written}"


def _schema_why(rule: Mapping[str, Any], notes: str) -> str:
    try:
        value = json.loads(notes, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        return f"The notes are no JSON: {error}."
    wrong = problems(rule["schema"], value)
    return f"What is wrong: {'; '.join(wrong)}." if wrong else ""


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


_RULES: Mapping[str, Rule] = {
    "contains": Rule(_contains_want, _contains_why),
    "regex": Rule(_regex_want, _regex_why),
    "length": Rule(_length_want, _length_why),
    "schema": Rule(_schema_want, _schema_why),
}
