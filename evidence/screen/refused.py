"""What the server says when it does not do what was asked."""

from __future__ import annotations


class Refused(Exception):
    """A request that is refused: HTTP status, what is wrong, what to do about it."""

    def __init__(self, status: int, problem: str, remedy: str = "", *, wait: int = 0) -> None:
        super().__init__(problem)
        self.status, self.problem, self.remedy = status, problem, remedy
        self.wait = wait  # seconds after which to try again

    def json(self) -> dict[str, str]:
        found = {"error": self.problem}
        if self.remedy:
            found["remedy"] = self.remedy
        return found
