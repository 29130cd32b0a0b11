"""One term of a query: its words, its tag, and the other end of its range."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from evidence.query.cursor import Cursor
from evidence.query.days import first_day, last_day
from evidence.query.fields import NOT_TAGS, field_of, is_flag, nearest, normal
from evidence.query.tokens import Token, clean
from evidence.query.tree import (
    Dates,
    Flag,
    Heading,
    Last,
    Node,
    PmidRange,
    Pmids,
    SetName,
    Span,
    Tag,
    Term,
)
from evidence.query.vocabulary import subheading_of

_DIGITS = re.compile(r"\d{1,10}")
_LAST = re.compile(r"last\s+(?:(\d{1,5})\s+)?(day|month|year)s?", re.IGNORECASE)
_UNITS: dict[str, Literal["days", "months", "years"]] = {
    "day": "days",
    "month": "months",
    "year": "years",
}
_PMID_RANGE = re.compile(r"(\d{1,10})\s*:\s*(\d{1,10})")


class TermReader(Cursor):
    """Reads the term at hand; what is malformed is reported, never raised."""

    def _opens_words(self) -> bool:
        """Whether the parenthesis holds only plain words and a tag follows it."""
        at = self.at + 1
        start = at
        while at < len(self.stream) and self.stream[at].kind == "word":
            if self._is_lower_operator(self.stream[at]) or self._is_switch(self.stream[at]):
                return False
            at += 1
        return (
            at > start
            and at + 1 < len(self.stream)
            and self.stream[at].kind == "close"
            and self.stream[at + 1].kind == "tag"
        )

    def _words(self) -> Node | None:
        """The term that begins here, with its tag and, for dates, the other end of its range."""
        token = self.stream[self.at]
        if token.kind == "set":
            self.at += 1
            self._drop_tag()
            return SetName(token.text, self._span(token.start, token.end))
        if token.kind == "quoted":
            self.at += 1
            node = self._quoted(token)
        else:
            node = self._run()
        return self._range(node) if node is not None else None

    def _quoted(self, token: Token) -> Node | None:
        end = token.end
        following = self._peek()
        if (
            following is not None
            and following.kind == "word"
            and following.start == end
            and set(following.text) <= {"*"}
        ):
            self.at += 1
            end = following.end
            self._fault(
                "wildcard-outside",
                token.start,
                end,
                f'"{token.text}"*: only the end of the last word may be truncated, within the '
                "quotation marks",
                "put the asterisk before the closing mark",
                f'"{token.text}*"',
            )
        tag = self._next_tag()
        if not clean(token.text.replace("*", " ")):
            self._fault(
                "empty-term",
                token.start,
                tag.end if tag else end,
                "a term is empty",
                "write it or remove it",
            )
            return None
        return self._leaf(token.text, True, tag, token.start, tag.end if tag else end)

    def _run(self) -> Node | None:
        """Words in a row, perhaps with parentheses as in Front Endocrinol (Lausanne)[ta]."""
        begin = self.at
        at = begin
        while at < len(self.stream):
            kind = self.stream[at].kind
            if kind == "word" or (kind == "colon" and at > begin):
                at += 1
            elif kind == "open":
                close = at + 1
                while close < len(self.stream) and self.stream[close].kind == "word":
                    if self._is_lower_operator(self.stream[close]):
                        break
                    close += 1
                if not (
                    close > at + 1
                    and close + 1 < len(self.stream)
                    and self.stream[close].kind == "close"
                    and self._tag_follows(close + 1, far=at > begin)
                ):
                    break
                at = close + 1
            else:
                break
        tagged = at < len(self.stream) and self.stream[at].kind == "tag"
        if not tagged:
            at = self._untagged_end(begin, at)
        run = self.stream[begin:at]
        self.at = at
        start, end = run[0].start, run[-1].end
        written = " ".join(token.text for token in run if token.kind in ("word", "colon"))
        tag = self._next_tag() if tagged else None
        if tag is None:
            return self._untagged(run, written, start, end)
        known = field_of(tag.text.partition(":")[0])
        runs = known is None or known.kind in ("words", "all")  # else it may be part of a name
        for token in run[1:-1] if len(run) > 2 and runs else ():
            if self._is_lower_operator(token):
                self._fault(
                    "lowercase-operator",
                    token.start,
                    token.end,
                    f"the operator {token.text!r} is not upper case, so PubMed takes it for a word",
                    f"write {token.text.upper()} and tag both terms, or quote the phrase",
                    severity="warning",
                )
        return self._leaf(written, False, tag, start, tag.end)

    def _tag_follows(self, at: int, *, far: bool) -> bool:
        """Whether a tag follows, at once or after further words in a field of exact names."""
        if at < len(self.stream) and self.stream[at].kind == "tag":
            return True
        while far and at < len(self.stream) and self.stream[at].kind == "word":
            if self._is_lower_operator(self.stream[at]):
                return False
            at += 1
        if not far or at >= len(self.stream) or self.stream[at].kind != "tag":
            return False
        known = field_of(self.stream[at].text.partition(":")[0])
        return known is not None and known.kind in ("heading", "term", "text")

    def _untagged_end(self, begin: int, at: int) -> int:
        """Where an untagged term ends: before a lower-case operator or a switch."""
        if self._is_switch(self.stream[begin]):
            return begin + 1
        for i in range(begin + 1, at):
            token = self.stream[i]
            if self._is_lower_operator(token) or self._is_switch(token):
                return i
        return at

    @staticmethod
    def _is_switch(token: Token) -> bool:
        return token.kind == "word" and is_flag(token.text)

    def _untagged(self, run: list[Token], written: str, start: int, end: int) -> Node | None:
        span = self._span(start, end)
        if len(run) == 1 and is_flag(written):
            return Flag(written.lower(), span)
        numbers = written.replace(",", " ").replace(";", " ").split()
        if numbers and all(_DIGITS.fullmatch(number) for number in numbers):
            return Pmids(tuple(int(number) for number in numbers), span)
        return self._leaf(written, False, None, start, end)

    def _leaf(
        self, written: str, quoted: bool, token: Token | None, start: int, end: int
    ) -> Node | None:
        """A term of the kind that its field asks for."""
        span = self._span(start, end)
        if token is None:
            heading = _with_subheading(written)
            if heading is not None:
                return Heading(*heading, quoted, None, span)
            if not _has_words(written):
                self._fault(
                    "empty-term", start, end, "a term is empty", "write it or remove it", ""
                )
                return None
            return Term(written, quoted, None, span)
        tag = self._read_tag(token)
        if not _has_words(written):
            self._fault("empty-term", start, end, "a term is empty", "write it or remove it")
            return None
        known = tag.known
        kind = known.kind if known else "words"
        if tag.field in ("tw", "all", "sb") and is_flag(written):
            return Flag(written.lower(), span)
        if kind == "date":
            return self._date(written, quoted, tag, span)
        if kind == "number":
            return self._pmid(written, quoted, tag, span)
        if tag.field in ("mh", "majr"):
            name, _, subheading = written.rpartition("/")
            if name.strip() and subheading.strip():
                return Heading(name.strip(), subheading.strip(), quoted, tag, span)
            return Heading(written, None, quoted, tag, span)
        return Term(written, quoted, tag, span)

    def _pmid(self, written: str, quoted: bool, tag: Tag, span: Span) -> Node:
        if match := _PMID_RANGE.fullmatch(written):
            return PmidRange(int(match.group(1)), int(match.group(2)), span)
        numbers = written.replace(",", " ").replace(";", " ").split()
        if all(_DIGITS.fullmatch(number) for number in numbers):
            return Pmids(tuple(int(number) for number in numbers), span)
        self._fault(
            "bad-pmid",
            span.start,
            span.end,
            f"{written!r} is not a PMID",
            "write the number alone, several with spaces between",
        )
        return Term(written, quoted, tag, span)

    def _date(self, written: str, quoted: bool, tag: Tag, span: Span) -> Node:
        if match := _LAST.fullmatch(written):
            unit = _UNITS[match.group(2).lower()]
            if not quoted:
                self._fault(
                    "relative-date",
                    span.start,
                    tag.at.start,
                    f"{written}: a period counted back from today is written in quotation marks",
                    "quote it",
                    f'"{written}"',
                )
            return Last(int(match.group(1) or 1), unit, tag, span)
        low, colon, high = (part.strip() for part in written.partition(":"))
        begin, end = first_day(low), last_day(high) if colon else None
        if begin is None or (colon and end is None):
            self._bad_date(written, tag, span)
            return Term(written, quoted, tag, span)
        if end is not None and begin > end:
            self._fault(
                "reversed-range",
                span.start,
                tag.at.start,
                f"the range from {low} to {high} ends before it begins",
                "write the earlier date first",
                f"{high}:{low}",
            )
        return Dates(low, high if colon else None, tag, span)

    def _bad_date(self, written: str, tag: Tag, span: Span) -> None:
        years = re.fullmatch(r"(\d{4})\s*[-\u2013]\s*(\d{4})", written)
        day = re.fullmatch(r"(\d{4})[-. ](\d{1,2})(?:[-. ](\d{1,2}))?", written)
        fix = None
        if years:
            fix = f"{years.group(1)}:{years.group(2)}"
        elif day and first_day("/".join(filter(None, day.groups()))):
            fix = "/".join(filter(None, day.groups()))
        self._fault(
            "bad-date",
            span.start,
            tag.at.start,
            f"{written!r} is not a date: PubMed reads year/month/day, and a colon between the ends "
            "of a range",
            "write it as 2019, 2019/11 or 2019/11/01, a range as 2019:2021",
            fix,
        )

    def _range(self, node: Node) -> Node:
        """The node, or the range that a colon makes of it and the term after it."""
        colon = self._peek()
        if colon is None or colon.kind != "colon":
            return node
        after = self.stream[self.at + 1] if self.at + 1 < len(self.stream) else None
        if after is None or after.kind not in ("word", "quoted"):
            return node
        is_date = isinstance(node, Dates) and node.high is None
        is_pmid = isinstance(node, Pmids) and len(node.numbers) == 1
        is_open = isinstance(node, Term) and node.tag is None
        if not (is_date or is_pmid or is_open):
            return node
        back, known = self.at, len(self.findings)
        self.at += 1
        other = self._words()
        if other is None:
            return node
        span = replace(node.at, end=other.at.end)
        if isinstance(node, Pmids) and isinstance(other, Pmids) and len(other.numbers) == 1:
            return PmidRange(node.numbers[0], other.numbers[0], span)
        if isinstance(other, Dates) and other.high is None:
            low = node.text if isinstance(node, Term) else None
            if isinstance(node, Dates):
                if node.tag != other.tag:
                    self._fault(
                        "range-tags",
                        span.start,
                        span.end,
                        f"the ends of the range stand in two fields, [{node.tag.field}] and "
                        f"[{other.tag.field}]",
                        "give both ends the same tag",
                    )
                return Dates(node.low, other.low, node.tag, span)
            if low is not None and first_day(low) is not None:
                return Dates(low, other.low, other.tag, span)
            if isinstance(node, Pmids) and first_day(str(node.numbers[0])) is not None:
                return Dates(str(node.numbers[0]), other.low, other.tag, span)
        self.at = back
        del self.findings[known:]
        return node

    # ------------------------------------------------------------------ tags

    def _read_tag(self, token: Token, *, used: bool = True) -> Tag:
        name, colon, suffix = token.text.partition(":")
        suffix = suffix.strip()
        span = self._span(token.start, token.end)
        known = field_of(name)
        noexp = suffix.lower().replace(" ", "") == "noexp"
        near = re.fullmatch(r"~\s*(\d{1,6})", suffix)
        rest = "" if noexp or near else suffix
        if known is None and used:
            self._unknown_tag(token, normal(name), suffix)
        elif colon and not noexp and not near and known is not None:
            if known.tag == "ta" and suffix.startswith("__"):
                pass  # as PubMed's own translation writes it
            else:
                self._fault(
                    "unknown-suffix",
                    token.start,
                    token.end,
                    f"{self._shown(token)}: {suffix!r} is neither noexp nor ~N",
                    "correct it",
                    f"[{name.strip()}:~{suffix}]" if suffix.isdigit() else None,
                )
        return Tag(
            known.tag if known else normal(name),
            noexp,
            int(near.group(1)) if near else None,
            rest.lower(),
            name.strip(),
            span,
        )

    def _unknown_tag(self, token: Token, name: str, suffix: str) -> None:
        shown = self._shown(token)
        near = nearest(name)
        fix = f"[{near}:{suffix}]" if near and suffix else f"[{near}]" if near else None
        if name in ("ab", "abstract"):
            message = f"{shown} is not a PubMed tag: no field holds the abstract alone"
            remedy = "use [tiab]; to leave out titles, take away the same words with [ti]"
        elif name in NOT_TAGS:
            message = f"{shown} is not a PubMed tag, and PubMed would not say so"
            remedy = f"use [{near}]"
        else:
            message = f"{shown} is not a PubMed tag, and PubMed would not say so"
            remedy = f"did you mean [{near}]?" if near else "use [tiab] or [mh], say"
        self._fault("unknown-tag", token.start, token.end, message, remedy, fix)

    def _drop_tag(self) -> None:
        token = self._next_tag()
        if token is not None:
            self._fault(
                "no-term",
                token.start,
                token.end,
                f"the tag {self._shown(token)} stands after no term, where PubMed does not apply "
                "it",
                "tag each term",
                "",
            )

    @staticmethod
    def _is_lower_operator(token: Token) -> bool:
        return token.kind == "word" and token.text.lower() in ("and", "or", "not")


def _has_words(written: str) -> bool:
    return any(char.isalnum() for char in written)


def _with_subheading(written: str) -> tuple[str, str] | None:
    """Heading and subheading of "neoplasms/diet therapy", if the subheading is one."""
    name, slash, subheading = written.rpartition("/")
    if not slash or not name.strip() or subheading_of(subheading) is None:
        return None
    return name.strip(), subheading.strip()
