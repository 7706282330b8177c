"""The module of the application."""

from __future__ import annotations

from pathlib import Path

from aspyx.di import create, module
from aspyx.di.configuration import YamlConfigurationSource
from aspyx.exception import ExceptionManager, catch

from aspyx_event import EventManager, EventModule, LocalProvider


@module(imports=[EventModule])
class HarbourModule:
    def __init__(self) -> None:
        self.caught: list[Exception] = []

    @catch()
    def handle(self, exception: Exception):
        self.caught.append(exception)

    @create()
    def create_configuration(self) -> YamlConfigurationSource:
        return YamlConfigurationSource(str(Path(__file__).parent / "harbour.yaml"))

    @create()
    def create_event_manager(self) -> EventManager:
        exceptions = ExceptionManager()
        exceptions.collect_handlers(self)
        return EventManager(LocalProvider(), exception_manager=exceptions)
