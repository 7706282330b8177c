"""What a producer or consumer process is told: everything it does follows from this and from its seed."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from aspyx_event import AMQPProvider, StompProvider, event


@dataclass
class Tick:
    """The event of all fault tests.

    Attributes:
        id: The ledger's name for it, unique in a run.
        key: Events of one key keep their order.
        seq: Rises by one within a key.
        padding: Makes it larger.
    """

    id: str
    key: str
    seq: int
    padding: str = ""


def tick_event(name: str) -> type[Tick]:
    """Return an event class called *name*: every run has an address of its own."""
    return event(name=name, durable=True, key="key")(type("Tick", (Tick,), {"__module__": __name__}))


@dataclass(kw_only=True)
class Endpoint:
    """Where and how to connect. Times in seconds."""

    provider: str
    host: str
    port: int
    user: str
    password: str
    heartbeat: float = 1.0
    connect_timeout: float = 3.0
    start_timeout: float = 30.0
    confirm_timeout: float = 60.0

    def make(self, server_name: str) -> Any:
        """Return a provider that is not started."""
        options = dataclasses.asdict(self)
        kind = {"amqp": AMQPProvider, "stomp": StompProvider}[options.pop("provider")]
        return kind(server_name=server_name, **options)


@dataclass(kw_only=True)
class Listening:
    """One listener and how badly it behaves. Shares are of the events, chosen by their id and the seed.

    Attributes:
        delayed: Retries are copies that the broker delivers later, so the order is given up.
        work: Seconds of every handling, at least.
        work_more: Seconds more, at most.
        fails: Share that fails at every attempt.
        flaky: Share that fails at the first attempt of a delivery.
        hangs: Share whose handler never returns.
        stubborn: Share whose handler goes on when it is cancelled at its time limit.
        memory: Share for which there is not enough memory.
        ends: Every so many events one ends the process by SIGKILL, or tries to by SystemExit, in turn; 0 is never.
        max_crashes: So many times, and then the event is a dead letter.
        timeout: Seconds of one attempt; None does not limit it.
        blocks: So many handlings, and the last of them holds the event loop for `block_for` seconds; 0 is never.
    """

    name: str = "one"
    concurrency: int = 1
    prefetch: int = 100
    attempts: int = 1
    delay: float = 0.02
    delayed: bool = False
    work: float = 0.0
    work_more: float = 0.0
    fails: float = 0.0
    flaky: float = 0.0
    hangs: float = 0.0
    stubborn: float = 0.0
    memory: float = 0.0
    ends: int = 0
    max_crashes: int = 3
    timeout: float | None = None
    blocks: int = 0
    block_for: float = 0.0

    def tame(self) -> Listening:
        """The same listener without what takes time or ends it; what must fail still does."""
        return dataclasses.replace(self, work=0.0, work_more=0.0, hangs=0.0, blocks=0, ends=0)


@dataclass(kw_only=True)
class Plan:
    """One process.

    Attributes:
        name: Of the process and of its ledger file.
        server: Name under which it is known to its broker; "" is made from the others.
        folder: Of the ledger.
        event: Name of the event.
        listening: Listeners of a consumer; none makes it a producer.
        rate: Events per second; 0 is as fast as the window allows.
        window: Events that wait for their receipt, at most.
        count: Events to send; 0 goes on until it is stopped.
        keys: Number of keys.
        padding: Characters that each event carries.
        stop_timeout: Seconds that running handlers have at the end.
        replay: Dead letters a second that it sends back to its listeners; 0 leaves them alone.
        sabotage: Name of a change in `support_faults_sabotage`; "" for none.
        limit: Seconds after which the process ends itself, whatever happens.
    """

    name: str
    folder: str
    event: str
    endpoint: Endpoint
    seed: int = 0
    listening: list[Listening] = field(default_factory=list)
    rate: float = 0.0
    window: int = 100
    count: int = 0
    keys: int = 8
    padding: int = 0
    stop_timeout: float = 10.0
    replay: float = 0.0
    server: str = ""
    sabotage: str = ""
    limit: float = 900.0

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> Plan:
        values = json.loads(text)
        values["endpoint"] = Endpoint(**values["endpoint"])
        values["listening"] = [Listening(**one) for one in values["listening"]]
        return Plan(**values)
