"""Events by HTTP: an endpoint for ASGI servers and frameworks, and who may post to it."""

from __future__ import annotations

from .endpoint import Endpoint, cloudevents_endpoint
from .interceptors import SharedSecret, Signature
from .lifespan import lifespan_of
from .messages import Interceptor, Post, Refusal

__all__ = [
    "Endpoint",
    "Interceptor",
    "Post",
    "Refusal",
    "SharedSecret",
    "Signature",
    "cloudevents_endpoint",
    "lifespan_of",
]
