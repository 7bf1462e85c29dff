"""What a page says: HTML reduced to its text, in time linear in its length.

The standard library's parser takes minutes for 200 kB of unclosed comments.
"""

import html
import re
from dataclasses import dataclass, field

# A quoted value may hold a `>`. Nothing in it is tried twice, so that it cannot be made slow.
_TAG = re.compile(r"""<(/?)([A-Za-z][^\s/>]*+)((?:=\s*"[^"]*"|=\s*'[^']*'|[^>])*+)>""")
_OPENS = re.compile("</?[A-Za-z]")
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")
_HIDDEN = re.compile(r"\shidden(?=[\s=/]|$)", re.IGNORECASE)
_HIDDEN_BY_STYLE = re.compile(r"""\sstyle\s*=\s*["'][^"']*display\s*:\s*none""", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f\v]+")

_NOT_TEXT = frozenset({"script", "style", "template", "svg", "iframe", "object", "noscript"})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "dd", "div", "dl", "dt", "fieldset"}
    | {"figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header"}
    | {"hr", "main", "nav", "ol", "p", "pre", "section", "table", "title", "ul"}
)
_BEFORE = {"br": "\n", "li": "\n- ", "tr": "\n", "td": " ", "th": " "}


def of_html(page: str) -> str:
    """The text of a page: blocks on lines of their own, items of lists with a dash."""
    told = _Told()
    at = 0
    while (begin := page.find("<", at)) >= 0:
        told.text(page[at:begin])
        at = _past(page, begin, told)
    told.text(page[at:])
    lines = "".join(told.parts).split("\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip()


@dataclass
class _Told:
    parts: list[str] = field(default_factory=list)
    verbatim: bool = False
    """Inside of `pre`."""
    hidden_by: str = ""
    """The name of the element that is not shown, and how often it stands inside of itself."""
    depth: int = 0

    def text(self, raw: str) -> None:
        if self.hidden_by or not raw:
            return
        try:
            said = html.unescape(raw)
        except ValueError:
            # A character reference with more digits than Python reads.
            said = raw
        if not self.verbatim:
            said = _SPACE.sub(" ", said)
            if not self.parts or self.parts[-1].endswith(("\n", " ")):
                said = said.lstrip(" ")
        if said:
            self.parts.append(said)

    def tag(self, name: str, closes: bool, attributes: str) -> None:
        if self.hidden_by:
            if name == self.hidden_by:
                self.depth += -1 if closes else 1
                self.hidden_by = name if self.depth else ""
            return
        if not closes and name not in _VOID and _hidden(attributes):
            self.hidden_by, self.depth = name, 1
            return
        if name == "pre":
            self.verbatim = not closes
        if name in _BLOCKS:
            self.parts.append("\n\n")
        elif not closes and name in _BEFORE:
            self.parts.append(_BEFORE[name])


def _past(page: str, begin: int, told: _Told) -> int:
    """Take in what begins with this `<`; answers where the text goes on. What is never closed
    hides the rest, as it does in a browser."""
    if page.startswith("<!--", begin):
        return _after(page, "-->", begin + 2)
    if page.startswith(("<!", "<?"), begin):
        return _after(page, ">", begin)
    if not _OPENS.match(page, begin):
        told.text("<")
        return begin + 1
    found = _TAG.match(page, begin)
    if found is None:
        return len(page)
    name = found[2].lower()
    if name in _NOT_TEXT and not found[1]:
        closing = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(page, found.end())
        return _after(page, ">", closing.end()) if closing else len(page)
    told.tag(name, bool(found[1]), found[3])
    return found.end()


def _hidden(attributes: str) -> bool:
    return bool(_HIDDEN.search(_QUOTED.sub("", attributes)) or _HIDDEN_BY_STYLE.search(attributes))


def _after(page: str, mark: str, begin: int) -> int:
    end = page.find(mark, begin)
    return len(page) if end < 0 else end + len(mark)
