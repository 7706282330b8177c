"""The only place that knows the provider."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from aspyx.di import create, module
from aspyx.di.configuration import ConfigValue, YamlConfigurationSource
from aspyx.exception import ExceptionManager
from shop.ledger import Ledger
from shop.module import ShopModule

from aspyx_event import AMQPProvider, EventManager, LocalProvider, QueueNaming, StompProvider
from aspyx_event.providers import Provider

from .failures import Failures


@module(imports=[ShopModule])
class StoryModule:
    """Imports the shop and adds configuration, ledger and event manager."""

    @create()
    def configuration(self) -> YamlConfigurationSource:
        return YamlConfigurationSource(str(Path(__file__).parent / "story.yaml"))

    @create()
    # The dependency on the source makes sure that the file is read before one of its values is needed.
    def ledger(
        self,
        configuration: YamlConfigurationSource,
        vat_percent: Annotated[int, ConfigValue("shop.vat-percent", 0)],
    ) -> Ledger:
        return Ledger(vat_percent)

    @create()
    def event_manager(self, failures: Failures) -> EventManager:
        exceptions = ExceptionManager()
        exceptions.collect_handlers(failures)
        return EventManager(choose_provider(), exception_manager=exceptions)


def choose_provider() -> Provider:
    """Return the provider that PROVIDER names; ARTEMIS_URL has the address of the broker."""
    kind = os.environ.get("PROVIDER", "local")
    # Queue names are unique per broker. Prefixed with the event name, they cannot clash with those of another application.
    naming = QueueNaming.QUALIFIED
    if kind == "local":
        return LocalProvider(queue_naming=naming)
    url = urlsplit(os.environ.get("ARTEMIS_URL", "amqp://admin:admin@localhost:61616"))
    where: dict[str, Any] = {
        "host": url.hostname or "localhost",
        "port": url.port or 61616,
        "user": unquote(url.username or ""),
        "password": unquote(url.password or ""),
    }
    if kind == "amqp":
        return AMQPProvider("order-story", **where, queue_naming=naming)
    if kind == "stomp":
        return StompProvider(**where, queue_naming=naming)
    raise SystemExit(f"PROVIDER={kind}: local, amqp or stomp")
