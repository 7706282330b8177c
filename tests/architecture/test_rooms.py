"""The rooms of the architecture: imports point down from one floor to the next, and no import is part of a circle."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

# From the ground up. A room is a folder ("engine/sending/") or a file; the longest name that fits decides. Files that lie
# directly in the package and have no line of their own are what applications declare.
FLOORS = (
    (
        "what travels",
        (
            "exceptions error_text interrupts safe_logger names clock deadlines futures envelope policies shared "
            "canonical log_fields asgi free_form printable masking"
        ),
    ),
    ("schemas", "schemas/"),
    ("events", "events standard_events senders"),
    ("bytes", "codecs/"),
    ("CloudEvents", "cloudevents/"),
    ("declarations", "* database.stored_event"),
    ("ports", "pipeline observer providers.base database.base database.query configuration"),
    ("event reader", "engine.event_reader"),
    ("runtime", "engine/runtime/"),
    ("failure", "engine/failure/"),
    ("sending", "engine/sending/"),
    ("receiving", "engine/receiving/"),
    ("subscribing", "engine/subscribing/"),
    ("operations", "engine/operations/"),
    ("engine", "engine/"),
    ("adapters", "providers/ database/ http/ reactions/ opentelemetry/"),
    ("tooling", "asyncapi/ contracts/"),
    ("manager", "manager compat"),
    ("edges", "opentelemetry.instrumentor di/ testing/ cli/ ."),
)
ROOMS = {
    room.rstrip("/").replace("/", "."): number for number, (_, rooms) in enumerate(FLOORS) for room in rooms.split()
}
ADAPTERS = next(number for number, (title, _) in enumerate(FLOORS) if title == "adapters")

# What both drivers of brokers use, and what both kinds of stores use; the rest of an adapter is its own business.
DRIVERS = {"providers.local", "providers.amqp", "providers.stomp"}


def local_name(module):
    return module.partition(".")[2]


def floor_of(name):
    if not name:
        return ROOMS["."]
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        floor = ROOMS.get(".".join(parts[:length]))
        if floor is not None:
            return floor
    return ROOMS["*"] if len(parts) == 1 else None


def inner_imports(modules):
    """Every import of one of our modules: importer, target, and the line where it stands."""
    for module in modules:
        for found in module.imports():
            pair = (local_name(module.name), local_name(found.target))
            if pair[0] != pair[1]:
                yield *pair, f"{module.shown}:{found.line} imports {found.target}"


def test_every_folder_has_a_floor(modules):
    homeless = [module.shown for module in modules if floor_of(local_name(module.name)) is None]
    assert not homeless, f"no line in FLOORS for {homeless}"


def test_every_line_of_the_floors_is_there(modules):
    names = {local_name(module.name) for module in modules}
    missing = [room for room in ROOMS if room not in ("*", ".") and room not in names]
    assert not missing, f"FLOORS names {missing}"


def test_imports_point_down(modules):
    wrong = [
        line
        for importer, target, line in inner_imports(modules)
        # Asking the root package for a name is asking a room above everyone.
        if floor_of(target) > floor_of(importer)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_is_part_of_a_circle(modules):
    graph = {local_name(module.name): set() for module in modules}
    for importer, target, _ in inner_imports(modules):
        if importer and target:  # the root offers what lies in the rooms
            graph[importer].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from error


def test_one_driver_does_not_know_another(modules):
    wrong = [
        line
        for importer, target, line in inner_imports(modules)
        for mine in [".".join(importer.split(".")[:2])]
        for other in [".".join(target.split(".")[:2])]
        if mine in DRIVERS and other in DRIVERS and mine != other
    ]
    assert not wrong, "\n".join(wrong)


def test_the_engine_and_the_manager_name_no_adapter(modules):
    wrong = [
        line
        for importer, target, line in inner_imports(modules)
        if importer.split(".")[0] in ("engine", "manager") and floor_of(target) == ADAPTERS
    ]
    assert not wrong, "\n".join(wrong)
