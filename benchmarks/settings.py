"""What is measured and with which settings: the contenders, and the order that a worker process gets."""

from __future__ import annotations

from dataclasses import dataclass

PUBLISH, CONSUME, END_TO_END, CONFIRM = "publish", "consume", "end_to_end", "confirm"

#: The kinds of work, in the order of the report.
KINDS = (PUBLISH, CONSUME, END_TO_END, CONFIRM)
TITLES = {
    PUBLISH: "publish, confirmed",
    CONSUME: "consume a filled queue, acknowledged one by one",
    END_TO_END: "end to end in one process",
    CONFIRM: "one confirmed send at a time",
}


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody to be measured.

    Attributes:
        key: What JSON and workers call it.
        label: What the table calls it.
        group: "amqp", "stomp" or "local"; ratios are taken inside a group.
        raw: It is the one that the others of its group are compared with.
        scale: Its rounds have this many times the messages, because it is fast and short rounds are noise.
        kinds: The work it can do.
    """

    key: str
    label: str
    group: str
    raw: bool = False
    scale: int = 1
    kinds: tuple[str, ...] = KINDS

    @property
    def needs_broker(self) -> bool:
        return self.group != "local"


CONTENDERS = (
    Contender("proton", "proton, reactor", "amqp", raw=True),
    Contender("ours-amqp", "aspyx_event, AMQP", "amqp"),
    Contender("stomp.py", "stomp.py, threads", "stomp", raw=True),
    Contender("ours-stomp", "aspyx_event, STOMP", "stomp"),
    Contender("calls", "handler awaited in a loop", "local", raw=True, scale=20, kinds=(END_TO_END,)),
    Contender("ours-local", "aspyx_event, Local", "local", scale=4),
    Contender("ours-local-objects", "aspyx_event, Local, no copy", "local", scale=4),
)
GROUPS = ("amqp", "stomp", "local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one worker process is to do; travels as JSON.

    Attributes:
        contender: Key of the contender.
        messages: Messages of each kind of work but `CONFIRM`.
        confirms: Messages sent one at a time.
        in_flight: Sends that may wait for their confirmation.
        prefetch: Deliveries that may wait for their acknowledgement.
        deadline: Seconds that one kind of work may take, and the broker to account for all acknowledgements.
        address: Event name; its queue exists and is empty.
        queue: Name of that queue, and of the listener.
        host, port, user, password: Of the broker; unused by local contenders.
    """

    contender: str
    messages: int
    confirms: int
    in_flight: int = 500
    prefetch: int = 100
    deadline: float = 60.0
    address: str = "aspyx-benchmark"
    queue: str = "aspyx-benchmark-listener"
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""

    @property
    def waiting(self) -> int:
        """Messages in the queue when consuming begins: those of `CONFIRM` and of `PUBLISH`."""
        return self.confirms + self.messages
