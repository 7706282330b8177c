"""A provider configured by a file and by environment variables, which take precedence.

python examples/configured/main.py
EVENT_PROVIDER=amqp EVENT_HOST=broker.example.org EVENT_PASSWORD=... python examples/configured/main.py
"""

from __future__ import annotations

from application.module import ApplicationModule, Settings
from aspyx.di import Environment
from greeting.module import Greeter, Hello

from aspyx_event import EventManager


def main() -> None:
    environment = Environment(ApplicationModule)
    settings = environment.get(Settings)
    print(f"provider {settings.provider}, server {settings.server_name}, broker {settings.host}:{settings.port}")
    environment.get(EventManager).send_event(Hello("world"))
    # With a broker, a send returns once the broker has the event; the listener receives it a moment later.
    environment.get(Greeter).greeted.wait(timeout=30)
    environment.destroy()


if __name__ == "__main__":
    main()
