"""Transports: the port that a provider implements, and one package per provider, imported when it is asked for."""

from .base import (
    AddressKind,
    Binding,
    Capabilities,
    ConnectionHooks,
    Consumer,
    Delivery,
    Outgoing,
    Provider,
    ServerDescription,
)

__all__ = [
    "AddressKind",
    "Binding",
    "Capabilities",
    "ConnectionHooks",
    "Consumer",
    "Delivery",
    "Outgoing",
    "Provider",
    "ServerDescription",
]
