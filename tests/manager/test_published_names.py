"""The names of the published package that `compat` keeps until 2.0, used as its README uses them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import pytest
from support_core import run_program

import aspyx_event
from aspyx_event import AMQPProvider, EventManager, LocalProvider, event


def test_the_example_of_the_published_readme_runs(tmp_path):
    done = run_program(
        """
        import asyncio
        from dataclasses import dataclass
        from aspyx.di import Environment, create, module
        from aspyx.exception import ExceptionManager
        from aspyx_event import (AbstractEnvelopePipeline, EventListener, EventManager, EventModule, LocalProvider,
                                 envelope_pipeline, event, event_listener)

        @dataclass
        @event(durable=True)
        class HelloEvent:
            hello: str = ""

        @event_listener(HelloEvent, name="test-listener", per_process=False)
        class HelloListener(EventListener[HelloEvent]):
            def on(self, event: HelloEvent):
                print("heard", event.hello)

        @envelope_pipeline()
        class SessionPipeline(AbstractEnvelopePipeline):
            async def send(self, envelope: EventManager.Envelope, event_descriptor: EventManager.EventDescriptor):
                envelope.set("session", "s1")
                await self.proceed_send(envelope, event_descriptor)

            async def handle(self, envelope: EventManager.Envelope,
                             event_listener_descriptor: EventManager.EventListenerDescriptor):
                print("session", envelope.get("session"), envelope.get_body())
                await self.proceed_handle(envelope, event_listener_descriptor)

        @module(imports=[EventModule])
        class Module:
            @create()
            def create_event_manager(self) -> EventManager:
                return EventManager(LocalProvider(), exception_manager=ExceptionManager())

        async def main():
            environment = Environment(Module)
            event_manager = environment.get(EventManager)
            await event_manager.setup()
            await event_manager.send_event(HelloEvent("world"))
            await environment.stop()

        asyncio.run(main())
        """,
        tmp_path,
    )
    assert done.stdout.splitlines()[-2:] == ['session s1 {"hello":"world"}', "heard world"], done.stderr


def test_the_misspelt_provider_is_the_provider():
    assert aspyx_event.AMQProvider is AMQPProvider  # type: ignore[attr-defined]
    assert "AMQProvider" not in aspyx_event.__all__  # type: ignore[attr-defined]


def test_earlier_methods_say_what_replaces_them_and_when_they_go():
    @event()
    @dataclass
    class Named:
        pass

    manager = EventManager(LocalProvider())
    with pytest.warns(DeprecationWarning, match=r"goes in 2\.0; use events\.add"):
        descriptor = manager.get_event_descriptor(Named)
    with pytest.warns(DeprecationWarning, match=r"goes in 2\.0; use events\.by_name"):
        assert manager.get_event_descriptor_by_name("Named") is descriptor
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert manager.events.add(Named) is descriptor
