"""The rooms of the architecture, and that imports only point down from one to the next."""

from __future__ import annotations

# The longest name that fits decides. A module that is not here has no room yet: give it one.
ROOMS = {
    # values
    "exceptions": 0,
    "names": 0,
    "log_fields": 0,
    "clock": 0,
    "asgi": 0,
    "envelope": 0,
    "policies": 0,
    "context": 0,
    "shared": 0,
    "canonical": 0,
    # declarations
    "events": 1,
    "listeners": 1,
    "free_form": 1,
    "options": 1,
    "targets": 1,
    "filters": 1,
    "ordering": 1,
    "topics": 1,
    "standard_events": 1,
    "registry": 1,
    "cloudevents": 1,
    "codecs": 1,
    "contracts.upcasters": 1,
    "contracts.schemas": 1,
    "contracts.written": 1,
    "contracts.senders": 1,
    "contracts.examples": 1,
    # ports
    "pipeline": 2,
    "observing": 2,
    "providers.base": 2,
    "store.base": 2,
    "store.records": 2,
    "configuration": 2,
    # engine
    "engine": 3,
    "contracts": 3,
    "asyncapi": 3,
    # adapters
    "providers": 4,
    "store": 4,
    "reactions": 4,
    "http": 4,
    "observability": 4,
    "inbox": 4,
    # the manager
    "manager": 5,
    # edges
    "observability.instrumentor": 6,
    "di": 6,
    "testing": 6,
    "cli": 6,
    "console": 6,
    "": 6,
}

# Of the values, the context alone knows a declaration, and only by name.
UPWARD_FOR_TYPES = {("context", "listeners")}

# Shared by the adapters of a package; everything else of one adapter is its own business.
SHARED = {
    "providers.artemis",
    "providers.base",
    "providers.broker_limits",
    "providers.buffer",
    "providers.connection",
    "providers.content_mode",
    "providers.options",
    "store.base",
    "store.records",
}


def local_name(module):
    return module.partition(".")[2]


def room_key(name):
    parts = name.split(".")
    keys = [".".join(parts[:length]) for length in range(len(parts), 0, -1)] if name else [""]
    return next((key for key in keys if key in ROOMS), None)


def adapter_of(name):
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] in ("providers", "store") and len(parts) > 1 else None


def test_every_module_has_a_room(modules):
    homeless = [module.shown for module in modules if room_key(local_name(module.name)) is None]
    assert not homeless, f"no room in ROOMS for {homeless}"


def test_imports_point_down(modules):
    wrong = []
    for module in modules:
        for found in module.imports():
            importer, target = room_key(local_name(found.importer)), room_key(local_name(found.target))
            if found.type_checking and (importer, target) in UPWARD_FOR_TYPES:
                continue
            # Asking the root package for a name is asking a room above everyone.
            if target is None or ROOMS[target] > ROOMS[importer]:
                wrong.append(f"{module.shown}:{found.line} imports {found.target}")
    assert not wrong, "\n".join(wrong)


def test_one_adapter_does_not_know_another(modules):
    wrong = []
    for module in modules:
        for found in module.imports():
            target = adapter_of(local_name(found.target))
            mine = adapter_of(local_name(module.name))
            if mine and target and target not in {mine, *SHARED}:
                wrong.append(f"{module.shown}:{found.line} imports {found.target}")
    assert not wrong, "\n".join(wrong)


def test_the_engine_and_the_manager_name_no_adapter(modules):
    wrong = [
        f"{module.shown}:{found.line} imports {found.target}"
        for module in modules
        if local_name(module.name).split(".")[0] in ("engine", "manager")
        for found in module.imports()
        if ROOMS[room_key(local_name(found.target))] == 4
    ]
    assert not wrong, "\n".join(wrong)
