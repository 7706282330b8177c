"""Makes the package a module of the container: importing it registers all its beans."""

from __future__ import annotations

from aspyx.di import module

from aspyx_event import EventModule


@module(imports=[EventModule])
class ShopModule:
    """Events and listeners, without the choice of a provider."""
