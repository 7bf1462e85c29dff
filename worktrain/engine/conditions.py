"""Does a condition hold, and why: WorkRail's lenient tests of context variables, in one place.

Texts are compared trimmed and without regard to case; texts that spell a number or a boolean count
as one; null is the same as unset. Source: WorkRail's workflow schema, section 1.5.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from math import isfinite
from typing import Any, Final, Literal

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

DEPTH_MAX = 32
"""Of `and`, `or` and `not` inside of one another; what lies deeper cannot be evaluated."""
PATTERN_CHARS_MAX = 256
SEARCHED_CHARS_MAX = 10_000
EXPLAINED_CHARS_MAX = 300
SHOWN_CHARS_MAX = 40

_INDEX = re.compile("[0-9]{1,6}")


class Missing(Enum):
    MISSING = "missing"


MISSING: Final = Missing.MISSING


class Unusable(ValueError):
    """A pattern, or what it is to be searched in, that is not searched; says why."""


def holds(condition: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    """Whether it is true of the variables. One that cannot be evaluated is not; never raises.

    What cannot be evaluated stays so behind `not`, and does no harm where the other parts of an
    `and` or an `or` decide. Without an operator the value must be truthy, with several all hold.
    """
    return _judged(condition, context, 0) is True


def explained(condition: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """One line, at most 300 characters: each variable, its operators and its present value.

    Also says what cannot be evaluated, such as a pattern that is too long; never raises.
    """
    return one_line(_told(condition, context, 0), EXPLAINED_CHARS_MAX)


def variables(condition: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths that it reads, in order, without doubles; never raises."""
    return tuple(dict.fromkeys(_read(condition, 0)))


def look_up(path: str, context: Mapping[str, Any]) -> Any | Literal[Missing.MISSING]:
    """The value at a dot path; a whole number picks a member of a list."""
    found: Any = context
    for part in path.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif _is_list(found) and _INDEX.fullmatch(part) and int(part) < len(found):
            found = found[int(part)]
        else:
            return MISSING
    return found


def truthy(value: Any) -> bool:
    """Whether a value alone counts as yes: null, 0, empty ones and the text "false" do not."""
    if isinstance(value, str):
        return value.strip().casefold() not in ("", "false")
    return value is not MISSING and value == value and bool(value)


def searched(pattern: str, text: str) -> bool:
    """Whether a regular expression is found anywhere in a text, in time linear in the text.

    The engine is Rust's, which never backtracks, so that no pattern is catastrophic. Raises
    Unusable for a pattern that it does not take: look-around, back-references, one that is wrong.
    """
    try:
        schema = core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")
        SchemaValidator(schema).validate_python(text)
    except SchemaError as error:
        reason = str(error).strip().rpartition("\n")[2].strip().removeprefix("error: ")
        raise Unusable(f"the pattern cannot be used: {reason}") from error
    except ValidationError:
        return False
    return True


def one_line(text: str, characters_max: int) -> str:
    """A text without line breaks and what cannot be printed or stored, shortened to its limit."""
    line = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in text[: characters_max + 1]
    )
    return line if len(line) <= characters_max else f"{line[: characters_max - 1]}…"


def _judged(condition: Any, context: Mapping[str, Any], depth: int) -> bool | None:
    """None: it cannot be evaluated."""
    form = _form(condition) if depth < DEPTH_MAX else None
    if form is None:
        return None
    if form == "var":
        return _judged_value(condition, context)
    if form == "not":
        inner = _judged(condition["not"], context, depth + 1)
        return None if inner is None else not inner
    # One part that is False decides an `and`, one that is True an `or`.
    return _decided(
        [_judged(part, context, depth + 1) for part in condition[form]], by=form == "or"
    )


def _judged_value(condition: Mapping[str, Any], context: Mapping[str, Any]) -> bool | None:
    value = _present(condition, context)
    operators = [name for name in condition if name != "var"]
    if not operators:
        return truthy(value)
    return _decided([_tested(name, value, condition[name]) for name in operators], by=False)


def _tested(name: str, value: Any, operand: Any) -> bool | None:
    try:
        return _TESTS[name](value, operand)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def _decided(results: Iterable[bool | None], *, by: bool) -> bool | None:
    known = list(results)
    if by in known:
        return by
    return None if None in known else not by


def _form(condition: Any) -> Literal["var", "and", "or", "not"] | None:
    """Which of the four it is; None when it is none, or wrongly written."""
    if not isinstance(condition, Mapping):
        return None
    if "var" in condition:
        rest = [name for name in condition if name != "var"]
        right = isinstance(condition["var"], str) and all(name in _TESTS for name in rest)
        return "var" if right else None
    if len(condition) != 1:
        return None
    if "not" in condition:
        return "not"
    form: Literal["and", "or"] = "and" if "and" in condition else "or"
    parts = condition.get(form)
    return form if _is_list(parts) and parts else None


def _read(condition: Any, depth: int) -> list[str]:
    form = _form(condition) if depth < DEPTH_MAX else None
    if form is None:
        return []
    if form == "var":
        return [condition["var"]]
    parts = [condition["not"]] if form == "not" else condition[form]
    return [path for part in parts for path in _read(part, depth + 1)]


def _told(condition: Any, context: Mapping[str, Any], depth: int) -> str:
    form = _form(condition) if depth < DEPTH_MAX else None
    if form is None:
        return "a condition that cannot be evaluated"
    if form == "not":
        return f"not ({_told(condition['not'], context, depth + 1)})"
    if form == "var":
        return _told_value(condition, context)
    parts = []
    for part in condition[form]:
        told = _told(part, context, depth + 1)
        parts.append(f"({told})" if _form(part) in ("and", "or") else told)
        if sum(map(len, parts)) > EXPLAINED_CHARS_MAX:
            break
    return f" {form} ".join(parts)


def _told_value(condition: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    value = _present(condition, context)
    operators = [name for name in condition if name != "var"]
    tests = " and ".join(f"{name} {_shown(condition[name])}" for name in operators)
    now = "is unset" if value is None else f"is {_shown(value)}"
    reasons = [
        why for name in operators if (why := _why_not_evaluated(name, value, condition[name]))
    ]
    var = one_line(condition["var"], SHOWN_CHARS_MAX * 2)
    return f"{var} {tests or 'is truthy'} ({'; '.join([now, *reasons])})"


def _why_not_evaluated(name: str, value: Any, operand: Any) -> str:
    try:
        _TESTS[name](value, operand)
    except Unusable as error:
        return str(error)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return f"`{name}` cannot be evaluated"
    return ""


def _present(condition: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    value = look_up(condition["var"], context)
    return None if value is MISSING else value


def _shown(value: Any) -> str:
    """The beginning of a value: only as much of it is written as is shown."""
    if isinstance(value, str):
        return one_line(repr(value[: SHOWN_CHARS_MAX + 1]), SHOWN_CHARS_MAX)
    written = ""
    try:
        for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
            written += piece[: SHOWN_CHARS_MAX + 1]
            if len(written) > SHOWN_CHARS_MAX:
                break
    except (TypeError, ValueError):
        return "no JSON value"
    return one_line(written, SHOWN_CHARS_MAX)


def _equal(value: Any, operand: Any) -> bool:
    if value is None or operand is None:
        return value is operand
    if isinstance(value, bool) or isinstance(operand, bool):
        flag = _flag(value)
        return flag is not None and flag == _flag(operand)
    if isinstance(value, int | float) or isinstance(operand, int | float):
        number = _number(value)
        return number is not None and number == _number(operand)
    if isinstance(value, str) and isinstance(operand, str):
        return _text(value) == _text(operand)
    return bool(value == operand)


def _order(value: Any, operand: Any) -> int | None:
    """-1, 0 or 1; None when the value is no number."""
    number, limit = _number(value), _number(operand)
    if limit is None:
        raise ValueError("a value can only be compared with a number")
    return None if number is None else (number > limit) - (number < limit)


def _contains(value: Any, part: Any) -> bool:
    if _is_list(value):
        return any(_equal(member, part) for member in value)
    return isinstance(value, str) and part is not None and _text(part) in _text(value)


def _matches(value: Any, pattern: Any) -> bool:
    if value is None:
        return False
    text = value.strip() if isinstance(value, str) else _text(value)
    if len(pattern) > PATTERN_CHARS_MAX:
        raise Unusable(f"a pattern may have {PATTERN_CHARS_MAX} characters, not {len(pattern)}")
    if len(text) > SEARCHED_CHARS_MAX:
        raise Unusable(f"a text of at most {SEARCHED_CHARS_MAX} characters can be matched")
    return searched(pattern, text)


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and _text(value) in ("true", "false"):
        return _text(value) == "true"
    number = _number(value)
    return bool(number) if number in (0, 1) else None


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        # Python alone reads underscores as part of a number.
        return None if "_" in value else _spelled(value)
    if isinstance(value, int):
        return int(value)
    return value if isinstance(value, float) and isfinite(value) else None


def _spelled(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _text(value: Any) -> str:
    """As it is compared. Raises TypeError for a list or an object."""
    if isinstance(value, str):
        return value.strip().casefold()
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise TypeError("only texts, numbers and booleans can be read as a text")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": _equal,
    "not_equals": lambda value, operand: not _equal(value, operand),
    "gt": lambda value, operand: _order(value, operand) == 1,
    "gte": lambda value, operand: _order(value, operand) in (0, 1),
    "lt": lambda value, operand: _order(value, operand) == -1,
    "lte": lambda value, operand: _order(value, operand) in (-1, 0),
    "in": lambda value, operand: any(_equal(value, member) for member in _members(operand)),
    "contains": _contains,
    "startsWith": lambda value, operand: (
        value is not None and _text(value).startswith(_text(operand))
    ),
    "endsWith": lambda value, operand: value is not None and _text(value).endswith(_text(operand)),
    "matches": _matches,
}


def _members(operand: Any) -> Sequence[Any]:
    if not _is_list(operand):
        raise TypeError("`in` needs a list")
    members: Sequence[Any] = operand
    return members
