"""A derived number that carries its own derivation: formula, inputs, source, a line for people."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ParamSpec

from meta.errors import InputError, UnknownName
from meta.present import Presented

P = ParamSpec("P")
Outcome = Mapping[str, float] | tuple[Mapping[str, float], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Conversion(Presented):
    """Numbers derived from reported ones, with all that is needed to derive them again."""

    values: Mapping[str, float]  # by name; the first is what the formula is for
    formula: str  # id, as "sd-from-se"; ``recompute`` takes it
    equation: str
    inputs: Mapping[str, Any]
    source: str
    notes: tuple[str, ...] = field(default=())

    @property
    def value(self) -> float:
        """The number that the formula is for."""
        return next(iter(self.values.values()))

    def __float__(self) -> float:
        return self.value

    def __getitem__(self, name: str) -> float:
        try:
            return self.values[name]
        except KeyError:
            raise UnknownName(f"value of {self.formula}", name, self.values) from None

    def text(self) -> str:
        """One line that a reader can follow with a pocket calculator."""
        results = ", ".join(f"{name} = {_shown(value)}" for name, value in self.values.items())
        inputs = ", ".join(f"{name} = {_shown(value)}" for name, value in self.inputs.items())
        notes = "".join(f"; {note}" for note in self.notes)
        return f"{results} from {inputs}: {self.equation} ({self.source}){notes}"

    def row(self) -> dict[str, str]:
        """Plain cells for a table of derivations, every digit kept."""
        return {
            "formula": self.formula,
            "inputs": "; ".join(f"{name}={value!r}" for name, value in self.inputs.items()),
            "values": "; ".join(f"{name}={value!r}" for name, value in self.values.items()),
            "source": self.source,
            "notes": "; ".join(self.notes),
        }

    def summary(self) -> str:
        """The same line."""
        return self.text()

    def rows(self) -> list[dict[str, Any]]:
        """One plain dict: that of ``row``."""
        return [self.row()]


FORMULAS: dict[str, Callable[..., Conversion]] = {}


def formula(
    key: str, *, equation: str, source: str
) -> Callable[[Callable[P, Outcome]], Callable[P, Conversion]]:
    """Register a conversion: the function gives named values (and notes), the rest is written up.

    Inputs left at None do not count as inputs.
    """

    def register(compute: Callable[P, Outcome]) -> Callable[P, Conversion]:
        signature = inspect.signature(compute)

        @functools.wraps(compute)
        def convert(*args: P.args, **kwargs: P.kwargs) -> Conversion:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            for name, value in bound.arguments.items():
                if isinstance(value, (int, float)) and not math.isfinite(value):
                    raise InputError(
                        f"{key} cannot use {name} = {value}",
                        remedy="give a finite number, or leave the study out and say so",
                    )
            outcome = compute(*args, **kwargs)
            values, notes = outcome if isinstance(outcome, tuple) else (outcome, ())
            inputs = {name: v for name, v in bound.arguments.items() if v is not None}
            return Conversion(
                MappingProxyType({name: float(v) for name, v in values.items()}),
                key,
                equation,
                MappingProxyType(inputs),
                source,
                notes,
            )

        FORMULAS[key] = convert
        return convert

    return register


def recompute(key: str, inputs: Mapping[str, Any]) -> Conversion:
    """The conversion of that id again from its inputs, to check a stored one."""
    try:
        convert = FORMULAS[key]
    except KeyError:
        raise UnknownName("conversion formula", key, FORMULAS) from None
    return convert(**inputs)


def require(condition: bool, problem: str, *, remedy: str) -> None:
    """Stop with a fault that a user can mend, unless the condition holds."""
    if not condition:
        raise InputError(problem, remedy=remedy)


def positive(**values: float) -> None:
    """Every value must be above zero."""
    bad = [f"{name} = {value} is not positive" for name, value in values.items() if not value > 0]
    if bad:
        raise InputError(
            "a conversion needs positive numbers", bad, remedy="check them against the paper"
        )


def at_least_two(**sizes: float) -> None:
    """Every size must allow a standard deviation."""
    bad = [f"{name} = {size} is less than 2" for name, size in sizes.items() if not size >= 2]
    if bad:
        raise InputError(
            "a conversion needs at least two people", bad, remedy="check them against the paper"
        )


def ordered(**values: float | None) -> None:
    """Values must not fall from one to the next; those that are None are passed over."""
    present = [(name, value) for name, value in values.items() if value is not None]
    bad = [
        f"{a} = {x} is more than {b} = {y}"
        for (a, x), (b, y) in itertools.pairwise(present)
        if x > y
    ]
    if bad:
        raise InputError("the numbers are not in order", bad, remedy="check them against the paper")


def level_between(level: float) -> None:
    """A confidence level is a proportion."""
    require(
        0 < level < 1,
        f"level = {level} is not a confidence level",
        remedy="give a proportion, as 0.95",
    )


def p_between(p: float) -> None:
    """A two-sided p-value lies above 0 and at most at 1."""
    require(
        0 < p <= 1,
        f"p = {p} is not a p-value",
        remedy="give the two-sided p (0 to 1); for 'p < 0.05' give 0.05, which is conservative",
    )


def _shown(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
