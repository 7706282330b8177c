"""Client for the management interface of Artemis over AMQP, for tests: queues, counts, consumers, connections."""

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

#: Seconds for a call.
CALL_TIMEOUT = 15.0

# In seconds. The broker closes connections that are idle for 60 s, and this client is idle between calls.
_IDLE_LIMIT = 20.0

# In seconds.
_CLOSE_LIMIT = 2.0

_LIST_ATTEMPTS = 5

_READS = ("get", "list", "is", "has", "count")


class ManagementError(EventException):
    """The broker refused a management call, or could not be reached; the message has the reason."""


class Management:
    """Calls the management address of a broker as its administrator. Each call blocks for some milliseconds.

    Operations and attributes have the names of the broker's control classes (`ActiveMQServerControl`, `QueueControl`,
    `AddressControl`). Survives restarts of the broker: a lost connection is reopened, and calls that only read are
    repeated. Thread-safe.
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
            ManagementError: the broker refused the call, or the connection failed.
        """
        properties = {"_AMQ_ResourceName": resource, "_AMQ_OperationName": operation}
        return self._call(properties, arguments, repeatable=operation.startswith(_READS))

    def attr(self, resource: str, attribute: str) -> Any:
        """Return *attribute* of *resource*; see `op`."""
        return self._call({"_AMQ_ResourceName": resource, "_AMQ_Attribute": attribute}, (), repeatable=True)

    def queues(self) -> list[str]:
        """Return the names of all queues, sorted, without the reply queue of this client."""
        names = self.op("broker", "getQueueNames")
        return sorted(name for name in names if self._requests is None or name != self._requests.reply_to)

    def addresses(self) -> list[str]:
        """Return the names of all addresses, sorted."""
        return sorted(self.op("broker", "getAddressNames"))

    def messages(self, queue: str) -> int:
        """Return the number of messages in *queue*, including messages in delivery; 0 if there is no such queue."""
        return int(self.describe(queue).get("messageCount", 0))

    def delivering(self, queue: str) -> int:
        """Return the number of messages of *queue* that consumers have not settled; 0 if there is no such queue."""
        return int(self.describe(queue).get("deliveringCount", 0))

    def consumers(self, queue: str) -> int:
        """Return the number of consumers of *queue*; 0 if there is no such queue."""
        return int(self.describe(queue).get("consumerCount", 0))

    def describe(self, queue: str) -> dict[str, Any]:
        """Return the row of `listQueues` for *queue*; empty if there is no such queue. Values are text."""
        return next((row for row in self._list("listQueues", "name", queue) if row["name"] == queue), {})

    def queues_of(self, address: str) -> list[str]:
        """Return the names of the queues of *address*, sorted; empty if there is no such address."""
        return sorted(row["name"] for row in self._list("listQueues", "address", address) if row["address"] == address)

    def create_queue(self, queue: str, address: str | None = None, **options: Any) -> None:
        """Create *queue* if it does not exist. It is durable, MULTICAST and not auto-deleted, unless *options* differ.

        Args:
            options: Keys of the Artemis queue configuration with `_` for `-`, for example `routing_type="ANYCAST"`.
        """
        values = {"name": queue, "address": address or queue, "routing-type": "MULTICAST", "durable": True}
        values |= {"auto-delete": False, **{key.replace("_", "-"): value for key, value in options.items()}}
        self.op("broker", "createQueue", json.dumps(values), True)

    def destroy_queue(self, queue: str, *, missing_ok: bool = False) -> None:
        """Remove *queue* with its messages and consumers, and the address if it has no other queue.

        Args:
            missing_ok: Do not raise if the queue does not exist, for example because it was deleted with its consumers.
        """
        try:
            self.op("broker", "destroyQueue", queue, True, True)
        except ManagementError:
            if not missing_ok or queue in self.queues():
                raise

    def destroy_queues(self, part: str) -> None:
        """Remove every queue with *part* in its name; queues that are deleted meanwhile are ignored."""
        for queue in self.queues():
            if part in queue:
                self.destroy_queue(queue, missing_ok=True)

    def connections(self, user: str | None = None) -> list[dict[str, Any]]:
        """Return the rows of `listConnections`, including this client."""
        rows = self._list("listConnections", "users", "")
        return [row for row in rows if user is None or row.get("users") == user]

    def close_connections(self, container_id: str) -> int:
        """Close the connections with this AMQP container id (STOMP: client id); return their number."""
        rows = self._list("listConnections", "clientID", container_id, "EQUALS")
        for row in rows:
            self.op("broker", "closeConnectionWithID", row["connectionID"])
        return len(rows)

    def close_user_connections(self, user: str) -> None:
        """Close all connections of *user*. For the administrator this includes the own connection, which is reopened."""
        try:
            self.op("broker", "closeConnectionsForUser", user)
        except ManagementError as error:
            # The response to this call was lost with the own connection.
            if user != self._broker.user or not isinstance(error.__cause__, _connection_errors()):
                raise

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        with self._lock:
            self._discard()

    def __enter__(self) -> Management:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _list(self, operation: str, field: str, value: str, comparison: str = "CONTAINS") -> list[dict[str, Any]]:
        # Three empty strings select all rows; an empty object causes a NullPointerException in the broker.
        criteria = (field, comparison, value) if value else ("", "", "")
        query = json.dumps(dict(zip(("field", "operation", "value"), criteria, strict=True)))
        for attempt in range(1, _LIST_ATTEMPTS + 1):
            try:
                page = json.loads(self.op("broker", operation, query, 1, 10_000))
                break
            except ManagementError as error:
                # listQueues of Artemis 2.44 fails with a NullPointerException if a queue is deleted meanwhile.
                if "is null" not in str(error) or attempt == _LIST_ATTEMPTS:
                    raise
        return cast("list[dict[str, Any]]", page["data"])

    def _call(self, properties: Mapping[str, str], arguments: tuple[Any, ...], *, repeatable: bool) -> Any:
        attempts = 2 if repeatable else 1
        with self._lock:
            while True:
                attempts -= 1
                try:
                    return self._request(properties, arguments)
                except _connection_errors() as error:
                    self._discard()
                    if not attempts:
                        raise ManagementError(f"{' '.join(properties.values())}: {error}") from error

    def _request(self, properties: Mapping[str, str], arguments: tuple[Any, ...]) -> Any:
        from proton import Message

        if self._connection is None or time.monotonic() - self._used > _IDLE_LIMIT:
            self._discard()
            self._open()
        response = self._requests.call(Message(body=json.dumps(arguments), properties=dict(properties)))
        self._used = time.monotonic()
        values = json.loads(response.body) if response.body else []
        if not response.properties.get("_AMQ_OperationSucceeded"):
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
        # Proton does not notice that a connection ends while it is being closed, and would wait until its timeout if the
        # broker has already closed an idle connection.
        self._connection.on_transport_closed = partial(_note_end, self._connection)
        self._requests = SyncRequestResponse(self._connection, "activemq.management")

    def _discard(self) -> None:
        connection, self._connection, self._requests = self._connection, None, None
        if connection is not None:
            # With a frozen broker, proton's close would block forever; the daemon thread ends with the process.
            closing = threading.Thread(
                target=_close_quietly, args=(connection,), name="close management connection", daemon=True
            )
            closing.start()
            closing.join(_CLOSE_LIMIT)


def _note_end(connection: Any, event: Any) -> None:
    connection.disconnected = event.transport.condition or "closed"


def _close_quietly(connection: Any) -> None:
    # The connection may be lost already.
    with contextlib.suppress(*_connection_errors()):
        connection.close()


def _connection_errors() -> tuple[type[Exception], ...]:
    from proton import ProtonException

    # BlockingConnection raises IndexError for a response on a link that has just been closed.
    return (ProtonException, OSError, IndexError)
