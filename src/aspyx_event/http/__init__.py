"""HTTP: an endpoint that receives events, and health probes, for ASGI servers and frameworks."""

from __future__ import annotations

from .endpoint import Endpoint, cloudevents_endpoint
from .health_app import HealthApp
from .interceptors import SharedSecret, Signature
from .lifespan import lifespan_of
from .messages import Interceptor, Post, Refusal

__all__ = [
    "Endpoint",
    "HealthApp",
    "Interceptor",
    "Post",
    "Refusal",
    "SharedSecret",
    "Signature",
    "cloudevents_endpoint",
    "lifespan_of",
]
