"""Names of queues on an Artemis broker, the same over AMQP and STOMP, so that consumers of both share them."""

from __future__ import annotations

from ..envelope import wire_name
from ..names import literal
from .base import AddressKind, Binding, Outgoing


def volatile_link_name(address: str, queue: str) -> str:
    """Return the name by which receivers share a queue that vanishes with its last consumer.

    Of an AMQP receiver with the capabilities `topic`, `shared` and `global`, Artemis makes the queue
    `<name>:shared-volatile:global`. The address is part of the name, because a second address with the same name costs
    the whole connection; Artemis cuts a link name at the first `|` and reads `*` and `#` in the name of a queue as
    wildcards, hence the escapes.
    """
    return literal(f"{address}.{queue}".replace("%", "%25").replace("|", "%7C"))


def queue_name(binding: Binding) -> str | None:
    """Return the name of a binding's queue on the broker; None where the broker invents one."""
    if binding.kind is AddressKind.QUEUE:
        return binding.queue or binding.address
    if binding.queue is None or binding.durable:
        return binding.queue
    return f"{volatile_link_name(binding.address, binding.queue)}:shared-volatile:global"


def selector(binding: Binding) -> str:
    """Return the filter of a binding's own queue in the language of Artemis (manual, "Filter Expressions"); "" for none.

    Names are quoted, because a header may have a dash or a dot in it.
    """
    conditions = []
    for name, values in binding.selector:
        wanted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
        conditions.append(f'"{wire_name(name)}" IN ({wanted})')
    return " AND ".join(conditions)


def target(message: Outgoing) -> str:
    """Return where a message is sent: its address, or ``address::queue`` for one queue of it alone."""
    queue = queue_name(message.only) if message.only is not None else None
    return message.address if queue is None else f"{message.address}::{queue}"
