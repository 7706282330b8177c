"""What is measured and with which settings: the contenders, and the order that a worker process gets."""

from __future__ import annotations

from dataclasses import dataclass

PUBLISH, CONSUME, END_TO_END, CONFIRM, PACED = "publish", "consume", "end_to_end", "confirm", "paced"
IMPORT = "import"

#: The kinds of work, in the order of the report.
KINDS = (PUBLISH, CONSUME, END_TO_END, CONFIRM, PACED, IMPORT)
#: Those of which the time of single events is reported, not the rate.
TIMED = (CONFIRM, PACED, IMPORT)
TITLES = {
    PUBLISH: "publish, confirmed",
    CONSUME: "consume a filled queue, acknowledged one by one",
    END_TO_END: "end to end in one process",
    CONFIRM: "one confirmed send at a time",
    PACED: "from send to handler, at a steady pace",
    IMPORT: "import, in a new interpreter",
}
_WIRE = (CONFIRM, PUBLISH, CONSUME, END_TO_END, PACED)

ARTEMIS, RABBITMQ = "artemis", "rabbitmq"


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody to be measured.

    Attributes:
        key: What JSON and workers call it.
        label: What the table calls it.
        group: A block of the table; ratios to `raw` are taken inside it.
        module: Of `benchmarks.contenders`, with its `run`.
        raw: It is the one that the others of its group are compared with.
        scale: Its rounds have this many times the messages: fast ones need more, or short rounds are noise.
        kinds: The work it does.
        needs: Distributions beside those of the package.
    """

    key: str
    label: str
    group: str
    module: str
    raw: bool = False
    scale: float = 1
    kinds: tuple[str, ...] = (END_TO_END,)
    needs: tuple[str, ...] = ()

    @property
    def broker(self) -> str:
        """The broker it talks to; "" for none."""
        return {"amqp": ARTEMIS, "stomp": ARTEMIS, "rabbitmq": RABBITMQ}.get(self.group, "")


CONTENDERS = (
    Contender("proton", "proton, reactor", "amqp", "reactor", raw=True, kinds=_WIRE),
    Contender("engine", "proton's engine, bare", "amqp", "engine", scale=2, kinds=_WIRE),
    Contender("ours-amqp", "aspyx_event, AMQP", "amqp", "ours", scale=2, kinds=_WIRE),
    Contender("stomp.py", "stomp.py, threads", "stomp", "stomp_py", raw=True, kinds=_WIRE),
    Contender("ours-stomp", "aspyx_event, STOMP", "stomp", "ours", scale=2, kinds=_WIRE),
    Contender(
        "faststream",
        "FastStream, RabbitMQ",
        "rabbitmq",
        "fast_stream",
        raw=True,
        scale=0.25,
        kinds=_WIRE,
        needs=("faststream", "aio-pika"),
    ),
    Contender("kombu", "kombu, RabbitMQ", "rabbitmq", "kombu_py", scale=0.25, kinds=_WIRE[:-1], needs=("kombu",)),
    Contender("codec", "encode + decode alone", "local", "codec", raw=True, scale=10),
    Contender("ours-local", "aspyx_event, Local", "local", "ours_local", scale=5),
    Contender(
        "testbroker",
        "FastStream's TestBroker",
        "local",
        "fast_stream_test",
        scale=0.05,
        needs=("faststream", "aio-pika"),
    ),
    Contender("bubus", "bubus", "local", "bubus_py", scale=0.05, needs=("bubus",)),
    Contender("blinker", "blinker", "objects", "in_process", raw=True, scale=20, needs=("blinker",)),
    Contender("calls", "plain call of the handler", "objects", "in_process", scale=20),
    Contender("pyee", "pyee", "objects", "in_process", scale=20, needs=("pyee",)),
    Contender("evproc", "evproc", "objects", "in_process", scale=20, needs=("evproc",)),
    Contender("ours-objects", "aspyx_event, Local, no copy", "objects", "ours_local", scale=5),
    Contender("ours-inline", "sync listener, inline", "threads", "ours_local", raw=True, scale=2),
    Contender("executor", "bare run_in_executor", "threads", "executor", scale=2),
    Contender("ours-thread", "sync listener, worker thread", "threads", "ours_local", scale=2),
    Contender(
        "http-bare",
        "bare Starlette route",
        "http",
        "http_endpoint",
        raw=True,
        scale=0.5,
        kinds=(CONFIRM, PUBLISH),
        needs=("starlette", "uvicorn"),
    ),
    Contender(
        "ours-http",
        "aspyx_event, HTTP endpoint",
        "http",
        "http_endpoint",
        scale=0.5,
        kinds=(CONFIRM, PUBLISH),
        needs=("starlette", "uvicorn"),
    ),
    Contender("import-base", "pydantic and aspyx", "import", "imports", raw=True, kinds=(IMPORT,)),
    Contender("import-asyncio", "pydantic, aspyx and asyncio", "import", "imports", kinds=(IMPORT,)),
    Contender("import-ours", "aspyx_event, nothing named", "import", "imports", kinds=(IMPORT,)),
    Contender("import-declarations", "aspyx_event, declarations", "import", "imports", kinds=(IMPORT,)),
    Contender("import-program", "aspyx_event, a program's names", "import", "imports", kinds=(IMPORT,)),
)
#: Groups that are measured more than once per round: it is chance on which cores the threads of a process meet.
REPEATED = {"threads": 4}
GROUPS = tuple(dict.fromkeys(one.group for one in CONTENDERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one worker process is to do; travels as JSON.

    Attributes:
        contender: Key of the contender.
        messages: Messages of each kind of work but the timed ones.
        confirms: Messages sent one at a time; with those that do not count, see `turns`.
        paced: Messages sent at a steady pace, likewise.
        pace: How many of these per second.
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
    paced: int = 1_000
    pace: float = 200.0
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
