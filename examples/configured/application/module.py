"""Reads application.yaml and environment variables, which take precedence, and creates the manager."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aspyx.di import create, module
from aspyx.di.configuration.configuration import config
from aspyx.di.configuration.yaml_configuration_source import YamlConfigurationSource
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
        provider: config(str, "event.provider", "local"),
        host: config(str, "event.host", "localhost"),
        port: config(int, "event.port", 61616),
        user: config(str, "event.user", ""),
        password: config(str, "event.password", ""),
        server_name: config(str, "event.server-name", "server-1"),
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
