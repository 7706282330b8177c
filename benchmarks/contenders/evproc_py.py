"""An event class and a processor for evproc, which wants a class of its own."""

from __future__ import annotations

from collections.abc import Callable

from evproc import Event, Processor, want

from ..message import OrderPlaced


class _Placed(Event):  # type: ignore[misc]
    name = "order-placed"

    def __init__(self, order: OrderPlaced) -> None:
        super().__init__()
        self.order = order


def sender(on: Callable[[OrderPlaced], object]) -> Callable[[OrderPlaced], object]:
    """Return what sends an order to *on* through a processor."""
    processor = Processor()

    def receive(_: Processor, event: _Placed) -> None:
        on(event.order)

    processor.register(want("order-placed")(receive))
    return lambda order: processor.process(_Placed(order))
