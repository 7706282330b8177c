"""The brokers of a run: found or started when it begins, ended with it, and a clear line where there is none."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from aspyx_event.testing import ArtemisBroker, Management

from . import machine
from .rabbit import Rabbit, RabbitUnavailable
from .settings import ARTEMIS, RABBITMQ, Contender, Order

_POLL = 0.05


class BenchmarkError(Exception):
    """A contender failed or lost messages: its figures would mean nothing."""


class Server(Protocol):
    """Where a broker listens."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def user(self) -> str: ...

    @property
    def password(self) -> str: ...


class Queues(Protocol):
    """What can be done with the queues of a broker."""

    def create_queue(self, queue: str, address: str) -> object: ...

    def messages(self, queue: str) -> int: ...

    def destroy_queue(self, queue: str) -> object: ...


@dataclass(slots=True)
class Brokers:
    """Those that run.

    Attributes:
        artemis: None where nobody needs it.
        places: Server and queues of each broker, by its name.
        left_out: Contenders that cannot take part, with the reason.
    """

    artemis: ArtemisBroker | None = None
    rabbit: Rabbit | None = None
    places: dict[str, tuple[Server, Queues]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def able(self, contenders: Sequence[Contender]) -> list[Contender]:
        """Return those that can take part."""
        return [one for one in contenders if one.key not in self.left_out]

    def settings(self, contender: Contender, order: Order) -> Order:
        """Return the order for a contender, with its broker and the name of a queue that nobody else uses."""
        order = replace(order, contender=contender.key, messages=max(1, round(order.messages * contender.scale)))
        if contender.broker not in self.places:
            return order
        server, _ = self.places[contender.broker]
        name = f"aspyx-benchmark-{uuid.uuid4().hex[:12]}"
        return replace(
            order,
            address=name,
            queue=f"{name}-listener",
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
        )


@contextmanager
def running(contenders: Sequence[Contender], say: Callable[[str], None]) -> Iterator[Brokers]:
    """Start what *contenders* need.

    Raises:
        BrokerUnavailable: there is no Artemis.
    """
    brokers = Brokers()
    for one in contenders:
        missing = [name for name in one.needs if not _installed(name)]
        if missing:
            brokers.left_out[one.key] = f"{' and '.join(missing)} not installed (pip install --group bench)"
    wanted = {one.broker for one in brokers.able(contenders)}
    with ExitStack() as stack:
        if ARTEMIS in wanted:
            say("looking for a broker ...")
            brokers.artemis = stack.enter_context(machine.find_broker())
            management = stack.enter_context(Management(brokers.artemis))
            brokers.places[ARTEMIS] = (brokers.artemis, management)
        if RABBITMQ in wanted:
            try:
                brokers.rabbit = stack.enter_context(Rabbit())
            except RabbitUnavailable as error:
                brokers.left_out |= {one.key: str(error) for one in contenders if one.broker == RABBITMQ}
            else:
                brokers.places[RABBITMQ] = (brokers.rabbit, brokers.rabbit)
        yield brokers


@contextmanager
def prepared(order: Order, contender: Contender, brokers: Brokers) -> Iterator[Order]:
    """Give the order of one contender; its queue is there for as long as the block lasts.

    Raises:
        BenchmarkError: the queue is not empty at the end.
    """
    order = brokers.settings(contender, order)
    if contender.broker not in brokers.places:
        yield order
        return
    _, queues = brokers.places[contender.broker]
    queues.create_queue(order.queue, order.address)
    try:
        yield order
        _check_empty(order, queues)
    finally:
        queues.destroy_queue(order.queue)


def _check_empty(order: Order, queues: Queues) -> None:
    """Every message was acknowledged, or the queue would still have it. The broker may be a little behind."""
    end = time.monotonic() + order.deadline
    while (left := queues.messages(order.queue)) > 0:
        if time.monotonic() > end:
            raise BenchmarkError(f"{order.contender} left {left} messages in its queue: they were not acknowledged")
        time.sleep(_POLL)


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
