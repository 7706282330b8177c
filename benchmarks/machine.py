"""What the figures were taken with and on; no names, no paths."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aspyx_event.testing import ArtemisBroker, BrokerConfig, Management

from .rabbit import SETTINGS as RABBIT_SETTINGS
from .rabbit import Rabbit

_PACKAGES = (
    "aspyx-event",
    "aspyx",
    "pydantic",
    "python-qpid-proton",
    "stomp.py",
    "faststream",
    "aio-pika",
    "kombu",
    "blinker",
    "pyee",
    "evproc",
    "bubus",
)

# What `artemis create` measures and writes where a disk is quick. Without it the journal flushes every 3.3 ms, and
# nothing but that would be seen in the time of a confirmed send.
_JOURNAL = "<journal-buffer-timeout>200000</journal-buffer-timeout>"
# Left alone it pages when messages take half of its heap by its own count. They take more than that: a million small ones
# fill the heap before it does.
_MEMORY = "<global-max-size>100000000</global-max-size>"
_JAVA = ("-XX:TieredStopAtLevel=4", "-Xms512M")
BROKER_SETTINGS = (
    "started for this, NIO journal synced every 0.2 ms at most, heap 512 MB, paging from 100 MB, both Java compilers"
)


def find_broker() -> ArtemisBroker:
    """Return the broker that `ARTEMIS_URL` names, or one of our own that is set up for speed; not started.

    Raises:
        BrokerUnavailable: there is none.
    """
    return ArtemisBroker.find(BrokerConfig(edit=_edit, java_options=_JAVA))


def describe(artemis: ArtemisBroker | None, rabbit: Rabbit | None = None) -> dict[str, Any]:
    """Return what there is to know: hardware, versions, load, and the settings of each broker by its name."""
    found: dict[str, Any] = {
        "cores": available_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: number for name in _PACKAGES if (number := _version(name))},
        "load": round(os.getloadavg()[0], 2),
        "brokers": {},
    }
    if artemis is not None:
        with Management(artemis) as management:
            name = f"Apache ActiveMQ Artemis {management.attr('broker', 'Version')}"
        found["brokers"][name] = BROKER_SETTINGS if artemis.owned else "as found (ARTEMIS_URL)"
    if rabbit is not None:
        found["brokers"][f"RabbitMQ {rabbit.version()}"] = RABBIT_SETTINGS
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def available_cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_loaded(found: dict[str, Any]) -> bool:
    """Whether others were using the machine before we began."""
    return bool(found["load"] > 0.25 * found["cores"])


def _edit(broker_xml: str) -> str:
    return broker_xml.replace("<journal-pool-files>", f"{_JOURNAL}{_MEMORY}<journal-pool-files>", 1)
