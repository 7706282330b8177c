"""Bugs put in on purpose, in a process of the tests: to see that the fault tests notice them, and a failing driver."""

from __future__ import annotations

import itertools
from collections.abc import Callable


def decode_raises(every: int) -> Callable[[], None]:
    def apply() -> None:
        from aspyx_event.providers.amqp import receiver
        from aspyx_event.providers.stomp import consumers

        numbers = itertools.count(1)

        def failing(original):
            def call(*arguments):
                if next(numbers) % every == 0:
                    raise RuntimeError("injected: the receiving code failed")
                return original(*arguments)

            return call

        receiver.decode = failing(receiver.decode)
        consumers.read_headers = failing(consumers.read_headers)

    return apply


SABOTAGES: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "decode-raises": decode_raises(60),
}


def apply(name: str) -> None:
    SABOTAGES[name]()
