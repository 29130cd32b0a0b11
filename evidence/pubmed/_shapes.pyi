from collections.abc import Callable, Mapping
from typing import Any, final

TEXT: int
WHOLE: int
PARTS: int

@final
class Shape:
    def __new__(
        cls,
        *,
        name: bytes,
        content: int,
        slots: tuple[int, ...],
        many: bool,
        required: bool,
        known: Mapping[Any, Any] | None,
        given: Mapping[Any, Any] | None,
        given_slots: tuple[int, ...],
        usual: bytes | None,
        exact: bytes | None,
        parts: tuple[Shape, ...],
        made: type[tuple[Any, ...]] | None,
        defaults: tuple[Any, ...],
        text: int,
        place: int,
        needs: int,
    ) -> Shape: ...
    def read(self, data: bytes, markup: Callable[[str], str], /) -> Any: ...
