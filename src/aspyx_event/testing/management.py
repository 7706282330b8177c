"""Artemis' management interface over AMQP: queues, counts, consumers and connections, for tests."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, cast

from ..exceptions import EventException
from .broker import ArtemisBroker

#: Seconds one call may take.
CALL_TIMEOUT = 15.0

# The broker closes a connection that was silent for 60 s, and this client only talks inside calls.
_IDLE_LIMIT = 20.0

# Seconds.
_CLOSE_LIMIT = 2.0

_LIST_ATTEMPTS = 5

_READS = ("get", "list", "is", "has", "count")


class ManagementError(EventException):
    """The broker refused a management call, or could not be asked; the message has its reason."""


class Management:
    """Calls of one broker's management address, as its administrator. Blocking, some milliseconds each.

    Names of operations and attributes are those of the broker's control classes (`ActiveMQServerControl`,
    `QueueControl`, `AddressControl`). Survives restarts of the broker: a connection that is gone is opened again, and
    a call that only reads is repeated. May be used from several threads.
    """

    def __init__(self, broker: ArtemisBroker) -> None:
        self._broker = broker
        self._lock = threading.Lock()
        self._connection: Any = None
        self._requests: Any = None
        self._used = 0.0

    def op(self, resource: str, operation: str, *arguments: Any) -> Any:
        """Call *operation* of *resource* (`broker`, `queue.NAME`, `address.NAME`).

        Raises:
            ManagementError: the broker refused, or the connection was lost or not to be had.
        """
        properties = {"_AMQ_ResourceName": resource, "_AMQ_OperationName": operation}
        return self._call(properties, arguments, again=operation.startswith(_READS))

    def attr(self, resource: str, attribute: str) -> Any:
        """Return *attribute* of *resource*; see `op`."""
        return self._call({"_AMQ_ResourceName": resource, "_AMQ_Attribute": attribute}, (), again=True)

    def queues(self) -> list[str]:
        """Names of all queues, sorted, without the one this object gets its answers from."""
        names = self.op("broker", "getQueueNames")
        return sorted(name for name in names if self._requests is None or name != self._requests.reply_to)

    def addresses(self) -> list[str]:
        """Names of all addresses, sorted."""
        return sorted(self.op("broker", "getAddressNames"))

    def messages(self, queue: str) -> int:
        """Messages in *queue*, those under delivery included; 0 if there is no such queue."""
        return int(self.describe(queue).get("messageCount", 0))

    def delivering(self, queue: str) -> int:
        """Messages of *queue* that a consumer has and has not settled; 0 if there is no such queue."""
        return int(self.describe(queue).get("deliveringCount", 0))

    def consumers(self, queue: str) -> int:
        """Consumers of *queue*; 0 if there is no such queue."""
        return int(self.describe(queue).get("consumerCount", 0))

    def describe(self, queue: str) -> dict[str, Any]:
        """Everything `listQueues` tells of *queue*; empty if there is no such queue. Values are text."""
        return next((row for row in self._list("listQueues", "name", queue) if row["name"] == queue), {})

    def queues_of(self, address: str) -> list[str]:
        """Names of the queues bound to *address*, sorted; empty if there is no such address."""
        return sorted(row["name"] for row in self._list("listQueues", "address", address) if row["address"] == address)

    def create_queue(self, queue: str, address: str | None = None, **options: Any) -> None:
        """Create *queue* if it is not there: durable, MULTICAST and kept, unless *options* say otherwise.

        Args:
            options: Keys of Artemis' queue configuration with `_` for `-`, for example `routing_type="ANYCAST"`.
        """
        values = {"name": queue, "address": address or queue, "routing-type": "MULTICAST", "durable": True}
        values |= {"auto-delete": False, **{key.replace("_", "-"): value for key, value in options.items()}}
        self.op("broker", "createQueue", json.dumps(values), True)

    def destroy_queue(self, queue: str, *, missing_ok: bool = False) -> None:
        """Remove *queue*, its messages and consumers, and the address if it was the last one there.

        Args:
            missing_ok: A queue that is not there, because it vanished with its consumers for example, is no error.
        """
        try:
            self.op("broker", "destroyQueue", queue, True, True)
        except ManagementError:
            if not missing_ok or queue in self.queues():
                raise

    def destroy_queues(self, part: str) -> None:
        """Remove every queue that has *part* in its name; one that vanishes meanwhile is no error."""
        for queue in self.queues():
            if part in queue:
                self.destroy_queue(queue, missing_ok=True)

    def connections(self, user: str | None = None) -> list[dict[str, Any]]:
        """What `listConnections` tells of every client, this one included."""
        rows = self._list("listConnections", "users", "")
        return [row for row in rows if user is None or row.get("users") == user]

    def close_connections(self, container_id: str) -> int:
        """Close the connections whose AMQP container id (STOMP: client id) is *container_id*; return how many."""
        rows = self._list("listConnections", "clientID", container_id, "EQUALS")
        for row in rows:
            self.op("broker", "closeConnectionWithID", row["connectionID"])
        return len(rows)

    def close_user_connections(self, user: str) -> None:
        """Close every connection of *user*; this object's too, which opens again, if it is the administrator."""
        try:
            self.op("broker", "closeConnectionsForUser", user)
        except ManagementError as error:
            # The answer to this very call went with our own connection.
            if user != self._broker.user or not isinstance(error.__cause__, _connection_errors()):
                raise

    def close(self) -> None:
        """Close the connection; the next call would open one."""
        with self._lock:
            self._discard()

    def __enter__(self) -> Management:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _list(self, operation: str, field: str, value: str, comparison: str = "CONTAINS") -> list[dict[str, Any]]:
        # Three empty strings stand for "all"; an empty object is a NullPointerException of the broker.
        criteria = (field, comparison, value) if value else ("", "", "")
        query = json.dumps(dict(zip(("field", "operation", "value"), criteria, strict=True)))
        for attempt in range(1, _LIST_ATTEMPTS + 1):
            try:
                page = json.loads(self.op("broker", operation, query, 1, 10_000))
                break
            except ManagementError as error:
                # listQueues of Artemis 2.44 fails with a NullPointerException when a queue vanishes meanwhile.
                if "is null" not in str(error) or attempt == _LIST_ATTEMPTS:
                    raise
        return cast("list[dict[str, Any]]", page["data"])

    def _call(self, properties: Mapping[str, str], arguments: tuple[Any, ...], *, again: bool) -> Any:
        attempts = 2 if again else 1
        with self._lock:
            while True:
                attempts -= 1
                try:
                    return self._ask(properties, arguments)
                except _connection_errors() as error:
                    self._discard()
                    if not attempts:
                        raise ManagementError(f"{' '.join(properties.values())}: {error}") from error

    def _ask(self, properties: Mapping[str, str], arguments: tuple[Any, ...]) -> Any:
        from proton import Message

        if self._connection is None or time.monotonic() - self._used > _IDLE_LIMIT:
            self._discard()
            self._open()
        answer = self._requests.call(Message(body=json.dumps(arguments), properties=dict(properties)))
        self._used = time.monotonic()
        values = json.loads(answer.body) if answer.body else []
        if not answer.properties.get("_AMQ_OperationSucceeded"):
            raise ManagementError(f"{' '.join(properties.values())}: {values}")
        return values[0] if values else None

    def _open(self) -> None:
        from proton.utils import BlockingConnection, SyncRequestResponse

        broker = self._broker
        credentials = {"user": broker.user, "password": broker.password, "allowed_mechs": "PLAIN"}
        self._connection = BlockingConnection(
            f"amqp://{broker.where}",
            timeout=CALL_TIMEOUT,
            **(credentials if broker.user else {"allowed_mechs": "ANONYMOUS"}),
        )
        # Proton overlooks the end of a connection that is being closed, and would turn idly until its time is up where
        # the broker, which hears nothing of an idle one, has closed it before.
        self._connection.on_transport_closed = partial(_note_end, self._connection)
        self._requests = SyncRequestResponse(self._connection, "activemq.management")

    def _discard(self) -> None:
        connection, self._connection, self._requests = self._connection, None, None
        if connection is not None:
            # A frozen broker would block proton's close for ever; the thread then goes with the process.
            closing = threading.Thread(
                target=_close_quietly, args=(connection,), name="close management connection", daemon=True
            )
            closing.start()
            closing.join(_CLOSE_LIMIT)


def _note_end(connection: Any, event: Any) -> None:
    connection.disconnected = event.transport.condition or "closed"


def _close_quietly(connection: Any) -> None:
    # It may be gone already: that is why it is discarded.
    with contextlib.suppress(*_connection_errors()):
        connection.close()


def _connection_errors() -> tuple[type[Exception], ...]:
    from proton import ProtonException

    # BlockingConnection raises IndexError for an answer on a link that has just gone.
    return (ProtonException, OSError, IndexError)
