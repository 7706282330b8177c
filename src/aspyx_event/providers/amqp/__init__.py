"""The AMQP 1.0 transport. Importing it needs no driver; starting the provider does."""

from .provider import AMQPProvider

__all__ = ["AMQPProvider"]
