"""What listeners depend on."""

from __future__ import annotations

from aspyx.di import injectable


@injectable()
class Ledger:
    def __init__(self) -> None:
        self.lines: list[tuple[str, object]] = []

    def write(self, who: str, what: object) -> None:
        self.lines.append((who, what))
