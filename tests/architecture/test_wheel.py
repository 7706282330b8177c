"""What is in the wheel, built from this checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = target.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_says_that_it_is_typed(wheel):
    assert "aspyx_event/py.typed" in wheel.namelist()


def test_the_wheel_has_every_module_and_nothing_else(wheel, modules, root):
    expected = {str(module.path.relative_to(root / "src")) for module in modules} | {"aspyx_event/py.typed"}
    expected |= {f"aspyx_event/asyncapi/page.{kind}" for kind in ("css", "js")}
    # The lazy packages read their stubs when they are imported; aspyx has no types of its own.
    expected.add("aspyx-stubs/py.typed")
    expected |= {str(stub.relative_to(root / "src")) for stub in (root / "src").rglob("*.pyi")}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


def test_the_wheel_has_licence_and_extras(wheel):
    names = wheel.namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "License-Expression: MIT" in metadata
    for extra in ("amqp", "stomp", "cli", "all"):
        assert f"Provides-Extra: {extra}" in metadata
    scripts = wheel.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "aspyx-event = aspyx_event.cli:main" in scripts
