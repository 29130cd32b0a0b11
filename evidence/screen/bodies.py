"""The JSON that a page may send: every field named, nothing else taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from evidence.screen.certificates import CONFIDENCES, TARGETS
from evidence.screen.refused import Refused
from evidence.screening.rows import one_line

LONGEST_TEXT = 4000
LONGEST_LINE = 500
LONGEST_NAME = 60
MOST_WORDS = 200  # highlighted words of each kind


Line = Annotated[str, Field(max_length=LONGEST_LINE), AfterValidator(one_line)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(one_line)]
Record = Annotated[str, Field(min_length=1, max_length=300)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Stage = Literal["title-abstract", "full-text"]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(one_line)]


def _one_of(choices: tuple[float, ...]) -> Callable[[float], float]:
    def check(value: float) -> float:
        if value not in choices:
            raise ValueError(f"is none of {', '.join(map(str, choices))}")
        return value

    return check


class Body(BaseModel):
    """Unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Write(Body):
    reviewer: Name  # for whom the page was made, who must be the one at the browser


class Decide(Write):
    key: Key  # the same for a decision that is sent again
    stage: Stage
    record: Record
    decision: Literal["include", "exclude", "unsure", "not-retrieved"]
    reason: Line = ""
    note: Text = ""

    @model_validator(mode="after")
    def _reasoned(self) -> Decide:
        if self.stage == "full-text" and self.decision == "exclude" and not self.reason:
            raise ValueError("a full text is excluded for a reason")
        if self.stage == "title-abstract" and self.decision == "not-retrieved":
            raise ValueError("a title cannot be not retrieved")
        if self.reason and self.decision != "exclude":
            raise ValueError("only an exclusion has a reason; a note says anything else")
        return self


class Undo(Write):
    key: Key
    stage: Stage


class Note(Write):
    key: Key
    stage: Stage
    record: Record
    note: Text


class Words(Write):
    include: Annotated[list[Line], Field(max_length=MOST_WORDS)]
    exclude: Annotated[list[Line], Field(max_length=MOST_WORDS)]


class Resolve(Write):
    key: Key
    stage: Stage
    record: Record
    decision: Literal["include", "exclude"]
    reason: Line = ""
    note: Text = ""

    @model_validator(mode="after")
    def _reasoned(self) -> Resolve:
        if self.reason and self.decision != "exclude":
            raise ValueError("only an exclusion has a reason; a note says anything else")
        return self


class Certify(Write):
    attempt: Annotated[int, Field(ge=1, le=1000)]
    size: Annotated[int, Field(ge=1)]  # as it was told, and so agreed to
    target: Annotated[float, AfterValidator(_one_of(TARGETS))]
    confidence: Annotated[float, AfterValidator(_one_of(CONFIDENCES))]


class Named(Body):
    name: Name


class SignIn(Body):
    name: Name
    password: Annotated[str, Field(max_length=LONGEST_LINE)]


class Nothing(Body):
    """An empty object."""


AnyBody = TypeVar("AnyBody", bound=Body)


def parse(kind: type[AnyBody], data: bytes) -> AnyBody:
    """A body of this kind.

    Raises
    ------
    Refused
        400 where it is no JSON, 422 where it says something else than this kind does.
    """
    try:
        found = json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise Refused(400, "the request is no JSON") from None
    try:
        return kind.model_validate(found)
    except ValidationError as faults:
        first = faults.errors(include_url=False, include_context=False, include_input=False)[0]
        at = ".".join(str(part) for part in first["loc"] if isinstance(part, int)) or ""
        named = [str(part) for part in first["loc"] if part in kind.model_fields]
        place = " ".join([*named, at]).strip()
        raise Refused(422, f"{place}: {first['msg']}" if place else str(first["msg"])) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field is there twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(name)
