"""From the text of a PubMed query to its tree: strictly from left to right, never raising.

One level of precedence: each operator takes all that stands before it in the same parentheses
[PubMed User Guide, "Combining search terms with Boolean operators"]. Terms side by side are joined
by AND. Where a text is malformed the tree is what its author probably meant, and a finding says
what PubMed would do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from evidence.query.fields import field_of
from evidence.query.findings import Finding, Places
from evidence.query.show import show, tagged
from evidence.query.terms import TermReader
from evidence.query.tokens import OPERATORS, Token, clean, tokens
from evidence.query.tree import (
    Combination,
    Dates,
    Heading,
    Node,
    Nothing,
    Operator,
    Parsed,
    Span,
    Tag,
    TaggedGroup,
    Term,
    walk,
)

DEEPEST = 150  # parentheses and changes of operator within each other; no strategy comes near


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


class _Parser(TermReader):
    """Joins terms by their operators, one pair of parentheses after the other."""

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
            operator = OPERATORS[level.pending.text]
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
