"""Reads application.yaml and environment variables, which take precedence, and creates the manager."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from aspyx.di import create, module
from aspyx.di.configuration import ConfigValue, YamlConfigurationSource
from greeting.module import GreetingModule

from aspyx_event import AMQPProvider, EventManager, LocalProvider, StompProvider
from aspyx_event.providers import Provider

from .environment_source import EnvironmentSource


@dataclass(frozen=True)
class Settings:
    """Settings of the application."""

    provider: str
    host: str
    port: int
    user: str
    password: str
    server_name: str


@module(imports=[GreetingModule])
class ApplicationModule:
    @create()
    def file(self) -> YamlConfigurationSource:
        return YamlConfigurationSource(str(Path(__file__).parent / "application.yaml"))

    # Each bean depends on the previous one. This fixes the order: the source that is loaded last takes precedence.
    @create()
    def variables(self, file: YamlConfigurationSource) -> EnvironmentSource:
        return EnvironmentSource()

    @create()
    def settings(
        self,
        variables: EnvironmentSource,
        provider: Annotated[str, ConfigValue("event.provider", "local")],
        host: Annotated[str, ConfigValue("event.host", "localhost")],
        port: Annotated[int, ConfigValue("event.port", 61616)],
        user: Annotated[str, ConfigValue("event.user", "")],
        password: Annotated[str, ConfigValue("event.password", "")],
        server_name: Annotated[str, ConfigValue("event.server-name", "server-1")],
    ) -> Settings:
        return Settings(provider, host, port, user, password, server_name)

    @create()
    def event_manager(self, settings: Settings) -> EventManager:
        return EventManager(provider_of(settings))


def provider_of(settings: Settings) -> Provider:
    if settings.provider == "amqp":
        return AMQPProvider(
            settings.server_name, settings.host, settings.port, user=settings.user, password=settings.password
        )
    if settings.provider == "stomp":
        return StompProvider(
            settings.host, settings.port, settings.user, settings.password, server_name=settings.server_name
        )
    return LocalProvider(server_name=settings.server_name)
