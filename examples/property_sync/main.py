"""Two objects keep a property in step, whichever of them changes; neither knows the other.

A change is an event; who takes it over does not tell of it again, so nothing goes round in circles.
"""

from __future__ import annotations

from dataclasses import dataclass

from aspyx_event import EventManager, LocalProvider, event


@event(name="home.temperature-set")
@dataclass
class TemperatureSet:
    by: str
    room: str
    degrees: float


class Thermostat:
    """A property that tells of its changes, and follows those of others in the same room."""

    def __init__(self, manager: EventManager, name: str, room: str) -> None:
        self._manager, self.name, self.room = manager, name, room
        self._degrees = 18.0
        manager.subscribe(TemperatureSet, self._follow, name=name, when=self._concerns)

    @property
    def degrees(self) -> float:
        return self._degrees

    @degrees.setter
    def degrees(self, value: float) -> None:
        if value != self._degrees:
            self._degrees = value
            self._manager.send_event(TemperatureSet(self.name, self.room, value))

    def _concerns(self, event: TemperatureSet) -> bool:
        return event.room == self.room and event.by != self.name

    def _follow(self, event: TemperatureSet) -> None:
        self._degrees = event.degrees


def main() -> None:
    manager = EventManager(LocalProvider())
    wall = Thermostat(manager, "wall", "kitchen")
    phone = Thermostat(manager, "phone", "kitchen")
    bath = Thermostat(manager, "bath", "bathroom")
    for one, degrees in ((wall, 21.5), (phone, 19.0), (bath, 24.0)):
        one.degrees = degrees
        # A plain script: the send has returned when all listeners were done.
        print(f"{one.name} sets {degrees}: wall {wall.degrees}, phone {phone.degrees}, bath {bath.degrees}")
    print(f"{manager.stats.sent(TemperatureSet)} changes were told, {manager.stats.handled(TemperatureSet)} followed")
    manager.stop()


if __name__ == "__main__":
    main()
