"""Names of queues and destinations on an Artemis broker, identical over AMQP and STOMP, so that consumers of both share queues."""

from __future__ import annotations

from ..envelope import wire_name
from ..names import literal
from .base import AddressKind, Binding, Outgoing


def volatile_link_name(address: str, queue: str) -> str:
    """Return the name by which receivers share a queue that vanishes with its last consumer.

    For an AMQP receiver with the capabilities `topic`, `shared` and `global`, Artemis creates the queue
    `<name>:shared-volatile:global`. The address is part of the name, because a second address with the same name costs
    the whole connection. Artemis cuts a link name at the first `|` and reads `*` and `#` in the name of a queue as
    wildcards, hence the escapes.
    """
    return literal(f"{address}.{queue}".replace("%", "%25").replace("|", "%7C"))


def artemis_queue_name(binding: Binding) -> str | None:
    """Return the name of a binding's queue on the broker; None if the broker generates the name."""
    if binding.kind is AddressKind.QUEUE:
        return binding.queue or binding.address
    if binding.queue is None or binding.durable:
        return binding.queue
    return f"{volatile_link_name(binding.address, binding.queue)}:shared-volatile:global"


def selector(binding: Binding) -> str:
    """Return the filter of a binding's own queue in Artemis' syntax (manual, "Filter Expressions"); "" for none.

    Names are quoted, because a header name may contain a dash or a dot.
    """
    conditions = []
    for name, values in binding.selector:
        quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
        conditions.append(f'"{wire_name(name)}" IN ({quoted})')
    return " AND ".join(conditions)


def destination(message: Outgoing) -> str:
    """Return where a message is sent: its address, or ``address::queue`` for a single queue of the address."""
    queue = artemis_queue_name(message.only) if message.only is not None else None
    return message.address if queue is None else f"{message.address}::{queue}"
