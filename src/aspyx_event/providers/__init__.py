"""Transports: the port that a provider implements, and a package for each provider, imported on demand."""

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
