"""Where the keys and values of a TOML text stand; ``tomllib`` reads them and forgets the place."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

Path = tuple[str | int, ...]  # ("search", "blocks", "hiit", "lines", 0, "terms")

_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_CODE_LENGTHS = {"u": 4, "U": 8}


@dataclass(frozen=True, slots=True)
class Span:
    """Where a key is written, and where its value begins and ends (offsets into the text)."""

    key: int
    start: int
    end: int


class Positions:
    """The places of one text. Ask by path; a path that is not there falls back to what holds it."""

    def __init__(self, text: str, spans: dict[Path, Span]) -> None:
        self.text = text
        self.spans = spans
        self._starts = [0, *(i + 1 for i, char in enumerate(text) if char == "\n")]

    def line_at(self, offset: int) -> int:
        """The line of an offset, counted from 1."""
        return bisect_right(self._starts, offset)

    def line(self, path: Path, within: str = "") -> int:
        """The line of a key, or of the first ``within`` in its value; of its parent if absent."""
        while path and path not in self.spans:
            path, within = path[:-1], ""
        if not path:
            return 1
        span = self.spans[path]
        found = self.text.find(within, span.start, span.end) if within else -1
        return self.line_at(span.key if found < 0 else found)


def positions(text: str) -> Positions:
    """Find the place of every key, table and array element of a valid TOML text.

    Parameters
    ----------
    text : str
        A text that ``tomllib.loads`` accepts. Of anything else the answer means nothing.

    Returns
    -------
    Positions
        A header counts for its table, ``[[header]]`` for its element; a table that exists only
        because its child was named stands where it was first implied.
    """
    scanner = _Scanner(text)
    scanner.document()
    return Positions(text, scanner.spans)


class _Scanner:
    """A walk through valid TOML that notes offsets and keeps no values but keys."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.spans: dict[Path, Span] = {}
        self.elements: dict[Path, int] = {}  # how many [[...]] of an array of tables so far

    def document(self) -> None:
        table: Path = ()
        while True:
            self.skip(" \t\r\n")
            if self.at >= len(self.text):
                return
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)

    def header(self) -> Path:
        start = self.at
        is_array = self.text.startswith("[[", start)
        self.at += 2 if is_array else 1
        keys = self.dotted_key()
        self.skip(" \t")
        self.at += 2 if is_array else 1
        path: Path = ()
        here = Span(start, start, self.at)
        for i, key in enumerate(keys):
            path = (*path, key)
            is_last = i == len(keys) - 1
            if is_last and is_array:
                index = self.elements.get(path, 0)
                self.elements[path] = index + 1
                self.spans.setdefault(path, here)
                path = (*path, index)
                self.spans[path] = here
            elif is_last:
                self.spans[path] = here  # over the place where a child had implied the table
            else:
                self.spans.setdefault(path, here)
                if path in self.elements:  # a table within the newest element
                    path = (*path, self.elements[path] - 1)
        return path

    def pair(self, table: Path) -> None:
        key_at = self.at
        keys = self.dotted_key()
        self.skip(" \t")
        self.at += 1  # =
        self.skip(" \t")
        path = table
        for key in keys[:-1]:
            path = (*path, key)
            self.spans.setdefault(path, Span(key_at, key_at, key_at))
        self.value((*path, keys[-1]), key_at)

    def value(self, path: Path, key_at: int) -> None:
        start = self.at
        char = self.text[start]
        if char in "\"'":
            self.string()
        elif char == "[":
            self.array(path)
        elif char == "{":
            self.inline_table(path)
        else:  # number, boolean, date and time (which may hold one space)
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\r\n":
                self.at += 1
        self.spans[path] = Span(key_at, start, self.at)

    def array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while True:
            self.skip(" \t\r\n,")
            if self.text[self.at] == "]":
                break
            self.value((*path, index), self.at)
            index += 1
        self.at += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            self.skip(" \t\r\n,")
            if self.text[self.at] == "}":
                break
            self.pair(path)
        self.at += 1

    def dotted_key(self) -> list[str]:
        keys: list[str] = []
        while True:
            self.skip(" \t")
            if self.text[self.at] in "\"'":
                keys.append(self.string())
            else:
                start = self.at
                while self.text[self.at] not in " \t.=]":
                    self.at += 1
                keys.append(self.text[start : self.at])
            self.skip(" \t")
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def string(self) -> str:
        """Pass a string of any of the four kinds; its text, as far as a key needs it."""
        quote = self.text[self.at]
        fence = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.at += len(fence)
        read: list[str] = []
        while not self.text.startswith(fence, self.at):
            if quote == '"' and self.text[self.at] == "\\":
                read.append(self.escape())
            else:
                read.append(self.text[self.at])
                self.at += 1
        self.at += len(fence)
        if len(fence) == 3:  # one or two quotes may stand directly before the closing three
            for _ in range(2):
                if self.text.startswith(quote, self.at):
                    self.at += 1
        return "".join(read)

    def escape(self) -> str:
        letter = self.text[self.at + 1]
        digits = _CODE_LENGTHS.get(letter, 0)
        code = self.text[self.at + 2 : self.at + 2 + digits]
        self.at += 2 + digits
        return chr(int(code, 16)) if digits else _ESCAPES.get(letter, letter)

    def skip(self, characters: str) -> None:
        """Pass these characters; comments too, where line ends are among them."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "#" and "\n" in characters:
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif char in characters:
                self.at += 1
            else:
                return
