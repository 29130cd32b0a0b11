"""Results that work out some of their fields when these are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T", bound="Deferred")
Rest = Callable[[str], Mapping[str, Any]]


class Deferred:
    """Base of a frozen dataclass with slots, some of which may be filled later.

    ``begun`` takes the fields that are known and a function that gives the others. That function
    is called with the name of a field that is asked for, and returns it, with others that come
    along; they then stay. Nobody who reads the fields can tell the difference, nor can
    ``dataclasses.replace``, ``copy`` and ``pickle``, which read them all.
    """

    __slots__ = ("_rest",)

    @classmethod
    def begun(cls: type[T], rest: Rest, **known: Any) -> T:
        """An instance with the known fields; ``rest`` gives the others by name."""
        self = object.__new__(cls)
        put = object.__setattr__  # frozen for everybody else
        for name, value in known.items():
            put(self, name, value)
        put(self, "_rest", rest)
        return self

    if not TYPE_CHECKING:  # so that a type checker still knows the fields

        def __getattr__(self, name: str) -> Any:  # reached only where a field is not filled
            if name == "_rest" or name not in type(self).__dataclass_fields__:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            for key, value in self._rest(name).items():
                object.__setattr__(self, key, value)
            return object.__getattribute__(self, name)
