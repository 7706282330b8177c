"""Names of queues on an Artemis broker, the same over AMQP and STOMP, so that consumers of both share them."""

from __future__ import annotations

from .base import AddressKind, Binding, Outgoing


def volatile_link_name(address: str, queue: str) -> str:
    """Return the name by which receivers share a queue that vanishes with its last consumer.

    Of an AMQP receiver with the capabilities `topic`, `shared` and `global`, Artemis makes the queue
    `<name>:shared-volatile:global`. The address is part of the name, because a second address with the same name costs
    the whole connection; Artemis cuts a link name at the first `|`, hence the escape.
    """
    return f"{address}.{queue}".replace("%", "%25").replace("|", "%7C")


def queue_name(binding: Binding) -> str | None:
    """Return the name of a binding's queue on the broker; None where the broker invents one."""
    if binding.kind is AddressKind.QUEUE:
        return binding.queue or binding.address
    if binding.queue is None or binding.durable:
        return binding.queue
    return f"{volatile_link_name(binding.address, binding.queue)}:shared-volatile:global"


def target(message: Outgoing) -> str:
    """Return where a message is sent: its address, or ``address::queue`` for one queue of it alone."""
    queue = queue_name(message.only) if message.only is not None else None
    return message.address if queue is None else f"{message.address}::{queue}"
