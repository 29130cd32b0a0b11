"""LaTeX in BibTeX fields: accents and symbols to Unicode, and the few characters to escape back."""

from __future__ import annotations

import re
import unicodedata

_ACCENTS = {
    "`": "\u0300",
    "'": "\u0301",
    "^": "\u0302",
    "~": "\u0303",
    "=": "\u0304",
    "u": "\u0306",
    ".": "\u0307",
    '"': "\u0308",
    "r": "\u030a",
    "H": "\u030b",
    "v": "\u030c",
    "d": "\u0323",
    "c": "\u0327",
    "k": "\u0328",
    "b": "\u0331",
}
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho"
    " sigmaf sigma tau upsilon phi chi psi omega"
)
_GREEK = _GREEK_NAMES.split()
SYMBOLS = {
    **{name: chr(0x3B1 + place) for place, name in enumerate(_GREEK)},
    **{
        name.capitalize(): chr(0x391 + place)
        for place, name in enumerate(_GREEK)
        if name != "sigmaf"
    },
    "varepsilon": "ε",
    "varphi": "φ",
    "vartheta": "ϑ",
    "ss": "ß",
    "o": "ø",
    "O": "Ø",
    "l": "ł",
    "L": "Ł",
    "ae": "æ",
    "AE": "Æ",
    "oe": "œ",
    "OE": "Œ",
    "aa": "å",
    "AA": "Å",
    "dh": "ð",
    "DH": "Ð",
    "th": "þ",
    "TH": "Þ",
    "dj": "đ",
    "DJ": "Đ",
    "i": "ı",
    "j": "ȷ",
    "textendash": "–",
    "textemdash": "—",
    "textquoteright": "’",
    "textquoteleft": "‘",
    "textquotedblleft": "“",
    "textquotedblright": "”",
    "textbackslash": "\\",
    "textasciitilde": "~",
    "textasciicircum": "^",
    "textbraceleft": "{",
    "textbraceright": "}",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textdegree": "°",
    "textregistered": "®",
    "texttrademark": "™",
    "textcopyright": "©",
    "textmu": "µ",
    "textpm": "±",
    "texttimes": "×",
    "ldots": "…",
    "dots": "…",
    "times": "×",
    "pm": "±",
    "mp": "∓",
    "le": "≤",
    "leq": "≤",
    "ge": "≥",
    "geq": "≥",
    "ne": "≠",
    "neq": "≠",
    "approx": "≈",
    "sim": "∼",
    "cdot": "·",
    "circ": "°",
    "infty": "∞",
    "rightarrow": "→",
    "leftarrow": "←",
    "to": "→",
    "S": "§",
    "P": "¶",
    "pounds": "£",
    "euro": "€",
    "copyright": "©",
    "LaTeX": "LaTeX",
    "TeX": "TeX",
}
_STYLE_NAMES = (
    "textit textbf emph textrm textsc textsf texttt textup textsuperscript textsubscript mathrm"
    " mathit mathbf text mbox ensuremath url href enquote uppercase lowercase textnormal mathsf"
    " it bf em rm sc sf tt small footnotesize boldsymbol bm"
)
_STYLES = frozenset(_STYLE_NAMES.split())
_COMMAND = re.compile(r"\\([A-Za-z]+|.)[ ]*", re.DOTALL)
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
}
_ESCAPE = str.maketrans(_ESCAPES)


def to_unicode(text: str) -> str:
    """The text that LaTeX would print; a command that is not known keeps its backslash."""
    if not any(c in text for c in "\\{}$~"):
        return text
    return _printed(text, False)


def _printed(text: str, math: bool) -> str:
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at = _command(text, at, out, math)
        elif char in "{}":
            at += 1
        elif char == "$":
            end = _unescaped(text, "$", at + 1)
            if end < 0:
                out.append("$")
                at += 1
            else:
                out.append(_printed(text[at + 1 : end], True))
                at = end + 1
        elif char == "~":
            out.append("\u00a0")
            at += 1
        elif math and char in "^_":
            at += 1
        else:
            out.append(char)
            at += 1
    return "".join(out)


def _unescaped(text: str, mark: str, at: int) -> int:
    while (found := text.find(mark, at)) > 0 and text[found - 1] == "\\":
        at = found + 1
    return found


def _command(text: str, at: int, out: list[str], math: bool) -> int:
    """Print the command that stands at ``at``; gives the place after it."""
    match = _COMMAND.match(text, at)
    if match is None:  # a backslash at the very end
        out.append("\\")
        return at + 1
    name, end = match.group(1), match.end()
    if name in _ACCENTS and (len(name) > 1 or not name.isalpha() or _argument(text, end)[0]):
        base, after = _argument(text, end)
        letter = _printed(base, math) or " "
        letter = {"ı": "i", "ȷ": "j"}.get(letter[0], letter[0]) + letter[1:]
        out.append(unicodedata.normalize("NFC", letter[0] + _ACCENTS[name] + letter[1:]))
        return after
    if name in SYMBOLS:
        out.append(SYMBOLS[name])
        return end + 2 if text.startswith("{}", end) else end
    if name in _STYLES:
        return end
    if not name.isalpha():
        out.append({" ": " ", ",": "\u2009", "\\": "\n", "-": "", "/": ""}.get(name, name))
        return match.start() + 2
    out.append(match.group())
    return end


def _argument(text: str, at: int) -> tuple[str, int]:
    """What a command applies to: a group in braces, another command, or one character."""
    if at >= len(text):
        return "", at
    if text[at] == "{":
        depth = 0
        for end in range(at, len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                return text[at + 1 : end], end + 1
        return "", at
    if text[at] == "\\" and (match := _COMMAND.match(text, at)):
        return match.group().rstrip(" "), match.end()
    return text[at], at + 1


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is; letters with accents stay, for files are in UTF-8."""
    return text.translate(_ESCAPE)
