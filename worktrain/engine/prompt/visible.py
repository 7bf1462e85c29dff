"""Untrusted text, without what a person would not see of it."""

import re
import unicodedata

# `<!-->` and `<!--->` are whole comments; one that is never closed hides the rest.
_HTML_COMMENT = re.compile(r"<!--(?:-?>|.*?(?:-->|\Z))", re.DOTALL)
_KEPT_CONTROLS = frozenset("\n\t")
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
"""What Unicode asks not to show although its category does not say so: fillers and variation
selectors, of which a row can carry any hidden text."""
_NEVER_SHOWN = frozenset({"Cc", "Cf", "Co", "Cs"})


def cleaned(text: str) -> str:
    """Untrusted text without what a person would not see: HTML comments, invisible characters.

    Comments go first, as a browser reads them: an invisible character inside `-->` does not end
    one. An emoji that is joined of several (ZWJ) falls into its visible parts.
    """
    return visible(_HTML_COMMENT.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def visible(text: str) -> str:
    """The text without its invisible characters; comments stay."""
    return "".join(
        character
        for character in _INVISIBLE.sub("", text)
        if character in _KEPT_CONTROLS or unicodedata.category(character) not in _NEVER_SHOWN
    )
