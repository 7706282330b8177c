"""Two objects synchronise a property without knowing each other.

A change is an event. An object that follows a change does not send another event, so there is no loop.
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
    """A temperature that is synchronised with the other thermostats of the room."""

    def __init__(self, manager: EventManager, name: str, room: str) -> None:
        self._manager, self.name, self.room = manager, name, room
        self._degrees = 18.0
        manager.subscribe(TemperatureSet, self._follow, name=name, when=self._is_for_me)

    @property
    def degrees(self) -> float:
        return self._degrees

    @degrees.setter
    def degrees(self, value: float) -> None:
        if value != self._degrees:
            self._degrees = value
            self._manager.send_event(TemperatureSet(self.name, self.room, value))

    def _is_for_me(self, event: TemperatureSet) -> bool:
        return event.room == self.room and event.by != self.name

    def _follow(self, event: TemperatureSet) -> None:
        self._degrees = event.degrees


def main() -> None:
    manager = EventManager(LocalProvider())
    wall = Thermostat(manager, "wall", "kitchen")
    phone = Thermostat(manager, "phone", "kitchen")
    bath = Thermostat(manager, "bath", "bathroom")
    for thermostat, degrees in ((wall, 21.5), (phone, 19.0), (bath, 24.0)):
        thermostat.degrees = degrees
        # In a plain script, the send has returned after all listeners were done.
        print(f"{thermostat.name} sets {degrees}: wall {wall.degrees}, phone {phone.degrees}, bath {bath.degrees}")
    print(f"{manager.stats.sent(TemperatureSet)} changes were sent, {manager.stats.handled(TemperatureSet)} followed")
    manager.stop()


if __name__ == "__main__":
    main()
