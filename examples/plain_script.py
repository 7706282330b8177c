"""A plain script without event loop and broker. The container creates the listeners and the manager."""

from __future__ import annotations

from dataclasses import dataclass

from aspyx.di import Environment, create, injectable, module

from aspyx_event import EventListener, EventManager, EventModule, LocalProvider, event, event_listener


@event(name="greetings.hello")
@dataclass
class Hello:
    name: str


@injectable()
class Greetings:
    """A dependency of the listener."""

    def __init__(self) -> None:
        self.lines: list[str] = []


@event_listener(Hello)
class Greeter(EventListener[Hello]):
    def __init__(self, greetings: Greetings) -> None:
        self.greetings = greetings

    def on(self, event: Hello) -> None:
        self.greetings.lines.append(f"Hello, {event.name}!")


@module(imports=[EventModule])
class Application:
    @create()
    def event_manager(self) -> EventManager:
        return EventManager(LocalProvider())


def main() -> None:
    environment = Environment(Application)
    manager = environment.get(EventManager)
    # Without a running event loop, a send returns when all listeners are done (with a broker: when it has confirmed).
    for name in ("Ada", "Grace"):
        manager.send_event(Hello(name))
    print("\n".join(environment.get(Greetings).lines))
    environment.destroy()


if __name__ == "__main__":
    main()
