"""From the text of a PubMed query to its tree: strictly from left to right, never raising.

One level of precedence: each operator takes all that stands before it in the same parentheses
[PubMed User Guide, "Combining search terms with Boolean operators"]. Terms side by side are joined
by AND. Where a text is malformed the tree is what its author probably meant, and a finding says
what PubMed would do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from evidence.query.days import first_day, last_day
from evidence.query.fields import NOT_TAGS, field_of, is_flag, nearest, normal
from evidence.query.findings import Finding, Places, Severity
from evidence.query.show import show, tagged
from evidence.query.tokens import Token, clean, tokens
from evidence.query.tree import (
    Combination,
    Dates,
    Flag,
    Heading,
    Last,
    Node,
    Nothing,
    Operator,
    Parsed,
    PmidRange,
    Pmids,
    SetName,
    Span,
    Tag,
    TaggedGroup,
    Term,
    walk,
)
from evidence.query.vocabulary import subheading_of

DEEPEST = 150  # parentheses and changes of operator within each other; no strategy comes near
_DIGITS = re.compile(r"\d{1,10}")
_LAST = re.compile(r"last\s+(?:(\d{1,5})\s+)?(day|month|year)s?", re.IGNORECASE)
_PMID_RANGE = re.compile(r"(\d{1,10})\s*:\s*(\d{1,10})")


def parse(text: str, *, named_sets: bool = False) -> Parsed:
    """Read a query.

    Parameters
    ----------
    text : str
        The query, on one line or many.
    named_sets : bool
        Whether ``#bdnf`` names a block, as in a claim file; ``#1`` is always a history line.

    Returns
    -------
    Parsed
        The tree and the faults of form, in the order of the text. Whatever the text, nothing is
        raised.
    """
    places = Places(text)
    findings: list[Finding] = []
    stream = tokens(text, places, findings, named_sets=named_sets)
    tree = _Parser(text, places, stream, findings).query()
    return Parsed(text, tree, tuple(sorted(findings, key=lambda f: (f.start, f.length, f.code))))


@dataclass
class _Level:
    """What stands so far in one pair of parentheses."""

    opened: int | None  # offset of the parenthesis
    parts: list[Node] = field(default_factory=list)
    operator: Operator | None = None  # that joins the parts
    pending: Token | None = None  # an operator that waits for its right side
    begin: int = 0  # of the first part, with its parentheses
    end: int = 0  # of the last part
    depth: int = 0
    dropped: bool = False  # a part without a term stood here and was reported


class _Parser:
    def __init__(
        self, text: str, places: Places, stream: list[Token], findings: list[Finding]
    ) -> None:
        self.text = text
        self.places = places
        self.stream = stream
        self.findings = findings
        self.at = 0

    # ------------------------------------------------------------------ the chain

    def query(self) -> Node:
        levels = [_Level(None)]
        too_deep = False
        while self.at < len(self.stream):
            token = self.stream[self.at]
            level = levels[-1]
            if token.kind == "operator":
                self._operator(level, token)
                self.at += 1
            elif token.kind == "open" and self._opens_words():
                self._operand(level, self._words())
            elif token.kind == "open":
                self.at += 1
                if len(levels) + level.depth >= DEEPEST:
                    too_deep = True
                    continue
                levels.append(_Level(token.start, depth=level.depth))
            elif token.kind == "close":
                self.at += 1
                if len(levels) > 1:
                    self._close(levels, token)
                elif not too_deep:
                    self._fault(
                        "unbalanced-parenthesis",
                        token.start,
                        token.end,
                        "a closing parenthesis has no opening one",
                        "remove it or open it",
                        "",
                    )
            elif token.kind == "tag":
                self._stray_tag(level, token)
            elif token.kind == "colon":
                self.at += 1
                self._fault(
                    "stray-colon",
                    token.start,
                    token.end,
                    "a colon makes a range of two dates or two PMIDs, and here stand none",
                    "remove it, or write both ends with the tag of a date",
                    " ",
                )
            else:
                if self._lower_case_operator(level, token):
                    continue
                self._operand(level, self._words())
            if level.depth + len(levels) > DEEPEST:
                too_deep = True
        if too_deep:
            self._fault(
                "too-deep",
                0,
                min(1, len(self.text)),
                f"more than {DEEPEST} parentheses or changes of operator within each other",
                "split the strategy into numbered lines",
            )
        while len(levels) > 1:
            opened = levels[-1].opened or 0
            self._fault(
                "unbalanced-parenthesis",
                opened,
                opened + 1,
                "an opening parenthesis is never closed",
                "close it",
            )
            self._close(levels, None)
        tree = self._finish(levels[0])
        if isinstance(tree, Nothing) and all(f.code != "no-term" for f in self.findings):
            self._fault("no-term", 0, len(self.text), "a query without a term", "write one")
        return tree

    def _operator(self, level: _Level, token: Token) -> None:
        if level.pending is not None:
            before = level.pending
            both = f"{self._shown(before)} {self._shown(token)}"
            fix = "NOT" if (before.text, token.text) == ("AND", "NOT") else None
            self._fault(
                "double-operator",
                before.start,
                token.end,
                f"{self._shown(token)} has nothing before it: two operators in a row ({both})",
                "keep one of them",
                before.text if before.text == token.text else fix,
            )
            level.pending = token if token.text == "NOT" else before
            return
        if not level.parts:
            leading_not = token.text == "NOT"
            self._fault(
                "leading-not" if leading_not else "leading-operator",
                token.start,
                token.end,
                f"{self._shown(token)} has nothing before it"
                + (": NOT takes away from what stands on its left" if leading_not else ""),
                "write what it takes away from before it" if leading_not else "remove it",
                None if leading_not else "",
            )
            return
        level.pending = token

    def _operand(self, level: _Level, node: Node | None, around: Span | None = None) -> None:
        if node is None:
            level.dropped = True
            return
        place = around or node.at
        if not level.parts:
            level.parts = [node]
            level.begin, level.end = place.start, place.end
            return
        operator: Operator = "AND"
        if level.pending is None:
            bare = clean(self.text[place.start : place.end])
            if isinstance(node, Term | Heading | Dates) and node.tag is not None and not around:
                bare = clean(self.text[node.at.start : node.tag.at.start])
            elif around:
                bare = "("
            self._fault(
                "implicit-and",
                place.start,
                place.end,
                f"no operator before {bare!r}: PubMed would read AND",
                "write the operator",
                f"AND {self.text[place.start : place.end]}",
                severity="warning",
            )
        else:
            operator = level.pending.text  # type: ignore[assignment]
        level.pending = None
        if level.operator in (None, operator):
            level.operator = operator
            level.parts.append(node)
            level.end = place.end
            return
        if level.depth >= DEEPEST:
            return  # reported at the end
        level.parts = [self._joined(level), node]
        level.operator = operator
        level.end = place.end
        level.depth += 1

    def _joined(self, level: _Level) -> Node:
        if len(level.parts) == 1:
            return level.parts[0]
        assert level.operator is not None  # set with the second part
        span = self._span(level.begin, level.end)
        return Combination(level.operator, tuple(level.parts), span)

    def _finish(self, level: _Level) -> Node:
        if level.pending is not None:
            token = level.pending
            self._fault(
                "trailing-operator",
                token.start,
                token.end,
                f"{self._shown(token)} has nothing after it",
                "remove it or write what is missing",
                "",
            )
        if not level.parts:
            start = level.opened or 0
            return Nothing(self._span(start, start))
        return self._joined(level)

    def _close(self, levels: list[_Level], token: Token | None) -> None:
        level = levels.pop()
        start = level.opened or 0
        end = token.end if token else len(self.text.rstrip())
        reported = len(self.findings)
        node = self._finish(level)
        span = self._span(start, end)
        if isinstance(node, Nothing):
            if reported == len(self.findings) and not level.dropped:
                self._fault(
                    "empty-parentheses",
                    start,
                    end,
                    "parentheses with nothing in them",
                    "remove them",
                )
            self._drop_tag()
            levels[-1].dropped = True
            return
        if isinstance(node, Combination):  # the place of a group is that of its parentheses
            node = replace(node, at=span, in_parentheses=True)
        tag = self._next_tag() if token else None
        if tag is not None:
            node = self._tagged(node, tag, span)
            span = replace(span, end=tag.end)
        levels[-1].depth = max(levels[-1].depth, level.depth + 1)
        self._operand(levels[-1], node, span)

    def _tagged(self, node: Node, token: Token, span: Span) -> Node:
        """A tag after parentheses: that of a single term, or one that PubMed drops."""
        inner = node
        whole = replace(span, end=token.end)
        if isinstance(inner, Term | Heading) and inner.tag is None:
            text = inner.text if isinstance(inner, Term) else f"{inner.name}/{inner.subheading}"
            made = self._leaf(text, inner.quoted, token, span.start, token.end)
            if made is not None:
                return replace(made, at=whole)
        tag = self._read_tag(token, used=False)
        group = TaggedGroup(inner, tag, whole)
        fix = None
        if tag.known:
            is_all = not self.text[: span.start].strip() and not self.text[token.end :].strip()
            fix = _distributed(inner, tag, is_all=is_all)
        self._fault(
            "tag-on-group",
            token.start if fix is None else span.start,
            token.end,
            f"the tag {self._shown(token)} stands after a group in parentheses, where PubMed does "
            "not apply it: the terms would be searched in all fields",
            "tag each term",
            fix,
        )
        return group

    # ------------------------------------------------------------------ terms

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
            unit = f"{match.group(2).lower()}s"
            if not quoted:
                self._fault(
                    "relative-date",
                    span.start,
                    tag.at.start,
                    f"{written}: a period counted back from today is written in quotation marks",
                    "quote it",
                    f'"{written}"',
                )
            return Last(int(match.group(1) or 1), unit, tag, span)  # type: ignore[arg-type]
        low, colon, high = (part.strip() for part in written.partition(":"))
        if first_day(low) is None or (colon and first_day(high) is None):
            self._bad_date(written, tag, span)
            return Term(written, quoted, tag, span)
        if colon and first_day(low) > last_day(high):  # type: ignore[operator]
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

    def _stray_tag(self, level: _Level, token: Token) -> None:
        self.at += 1
        following = self._peek()
        unknown = field_of(token.text.partition(":")[0]) is None
        if unknown and following is not None and following.start == token.end:
            self._fault(
                "brackets-in-term",
                token.start,
                token.end,
                f"{self._shown(token)} is read as a tag and not as part of a name",
                "put the whole name between quotation marks",
            )
        else:
            self._fault(
                "no-term",
                token.start,
                token.end,
                f"the tag {self._shown(token)} stands after no term, where PubMed does not "
                "apply it",
                "tag each term",
                "",
            )
        level.dropped = True

    def _next_tag(self) -> Token | None:
        token = self._peek()
        if token is None or token.kind != "tag":
            return None
        self.at += 1
        return token

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

    # ------------------------------------------------------------------ small things

    def _lower_case_operator(self, level: _Level, token: Token) -> bool:
        """Take an operator in small letters that stands where a term would begin."""
        if not self._is_lower_operator(token):
            return False
        following = self.stream[self.at + 1] if self.at + 1 < len(self.stream) else None
        if following is not None and following.kind == "tag":
            return False
        upper = token.text.upper()
        self._fault(
            "lowercase-operator",
            token.start,
            token.end,
            f"the operator {token.text!r} is not upper case, so PubMed takes it for a word",
            f"write {upper}, or quote the phrase",
            upper,
        )
        self._operator(level, Token("operator", upper, token.start, token.end))
        self.at += 1
        return True

    @staticmethod
    def _is_lower_operator(token: Token) -> bool:
        return token.kind == "word" and token.text.lower() in ("and", "or", "not")

    def _peek(self) -> Token | None:
        return self.stream[self.at] if self.at < len(self.stream) else None

    def _shown(self, token: Token) -> str:
        return clean(self.text[token.start : token.end])

    def _span(self, start: int, end: int) -> Span:
        line, column = self.places.position(start)
        return Span(start, end, line, column)

    def _fault(
        self,
        code: str,
        start: int,
        end: int,
        message: str,
        remedy: str,
        fix: str | None = None,
        *,
        severity: Severity = "error",
    ) -> None:
        self.findings.append(self.places.finding(code, severity, start, end, message, remedy, fix))


def _has_words(written: str) -> bool:
    return any(char.isalnum() for char in written)


def _with_subheading(written: str) -> tuple[str, str] | None:
    """Heading and subheading of "neoplasms/diet therapy", if the subheading is one."""
    name, slash, subheading = written.rpartition("/")
    if not slash or not name.strip() or subheading_of(subheading) is None:
        return None
    return name.strip(), subheading.strip()


def _distributed(node: Node, tag: Tag, *, is_all: bool) -> str | None:
    """The group with the tag on each of its terms; None where a term has a tag of its own."""
    plain = all(
        isinstance(part, Combination | TaggedGroup) or (isinstance(part, Term) and part.tag is None)
        for part in walk(node)
    )
    if not plain:
        return None
    text = show(tagged(node, tag))
    return text if is_all else f"({text})"
