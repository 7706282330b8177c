"""The fixture that gives each test of an application a container of its own, in projects of several tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_FILES = {
    "conftest.py": """
from aspyx.di.configuration import ConfigurationManager
from aspyx.di.di import Boot

pytest_plugins = ["aspyx_event.testing.pytest_plugin"]


class Source:
    def load(self):
        return {"shop": {"currency": "of no test"}}


outer = Boot.get_environment()
outer.get(ConfigurationManager).load_source(Source())


def pytest_sessionfinish():
    assert Boot.get_environment() is outer
""",
    "isolated_shop/__init__.py": "",
    "isolated_shop/listeners.py": """
from dataclasses import dataclass

from aspyx.di import injectable, module
from aspyx.di.aop import Invocation, advice, around, methods
from aspyx.di.configuration import inject_value

from aspyx_event import EventListener, EventModule, event, event_listener


@event(name="isolated.order-placed")
@dataclass
class OrderPlaced:
    order_id: int


@injectable()
class Ledger:
    def __init__(self) -> None:
        self.orders: list[int] = []
        self.currency = ""
        self.calls = 0

    @inject_value("shop.currency", default="none")
    def set_currency(self, currency: str) -> None:
        self.currency = currency

    def note(self, order_id: int) -> None:
        self.orders.append(order_id)


@advice
@injectable()
class Counting:
    @around(methods().named("note"))
    def count(self, invocation: Invocation):
        invocation.args[0].calls += 1
        return invocation.proceed()


@event_listener(OrderPlaced)
class Billing(EventListener[OrderPlaced]):
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def on(self, event: OrderPlaced) -> None:
        self.ledger.note(event.order_id)


@module(imports=[EventModule])
class ShopModule:
    pass
""",
    "test_orders.py": """
import pytest
from aspyx.di import Environment, create, injectable, module
from aspyx.di.configuration import ConfigurationSource

from aspyx_event import EventManager, LocalProvider


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_order_gets_into_the_ledger(number):
    # Imported by the first test only.
    from isolated_shop.listeners import Ledger, OrderPlaced, ShopModule

    local = []

    @module(imports=[ShopModule])
    class TestModule:
        __test__ = False

        @create()
        def source(self) -> ConfigurationSource:
            return Source()

        @create()
        def event_manager(self, source: ConfigurationSource, ledger: Ledger) -> EventManager:
            return EventManager(LocalProvider())

    class Source(ConfigurationSource):
        def load(self):
            return {"shop": {"currency": f"currency {number}"}}

    @injectable()
    class Local:
        def __init__(self) -> None:
            local.append(number)

    environment = Environment(TestModule)
    manager, ledger = environment.get(EventManager), environment.get(Ledger)
    assert [subscription.name for subscription in manager.list_subscriptions()] in ([], ["Billing"])
    manager.send_event(OrderPlaced(number))
    assert [subscription.name for subscription in manager.list_subscriptions()] == ["Billing"]
    assert ledger.orders == [number]
    assert ledger.calls == 1  # the advice of the package is applied, once
    assert local == [number]  # the classes of the tests before are gone
    environment.destroy()


@pytest.mark.parametrize("number", [1, 2])
def test_the_configuration_is_that_of_this_test(number):
    from isolated_shop.listeners import Ledger, ShopModule

    from aspyx.di.configuration import ConfigurationManager

    environment = Environment(ShopModule)
    assert not environment.get(ConfigurationManager).has("shop.currency")
    assert environment.get(Ledger).currency == "none"


@pytest.mark.parametrize("number", [1, 2])
def test_a_value_is_injected_from_the_configuration_of_this_test(number):
    from isolated_shop.listeners import Ledger, ShopModule

    from aspyx.di.configuration import ConfigurationManager
    from aspyx.di.di import Boot

    class Source:
        def load(self):
            return {"shop": {"currency": f"currency {number}"}}

    Boot.get_environment().get(ConfigurationManager).load_source(Source())
    assert Environment(ShopModule).get(Ledger).currency == f"currency {number}"
""",
}


def run_project(directory: Path, files: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, timeout=100)


def test_every_test_of_a_project_finds_its_listeners_and_none_of_another_test(tmp_path):
    done = run_project(tmp_path, _FILES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_the_tests_of_that_project_fail_without_the_fixture(tmp_path):
    done = run_project(
        tmp_path, _FILES | {"conftest.py": _FILES["conftest.py"].replace("pytest_plugins", "no_plugins")}
    )
    assert done.returncode == 1
    assert " failed" in done.stdout, done.stdout


def test_a_bean_is_replaced_from_outside_of_its_package_or_by_a_feature(tmp_path):
    """What docs/testing-your-application.md says of replacing beans, and that a second provider is an error."""
    files = {
        "conftest.py": 'pytest_plugins = ["aspyx_event.testing.pytest_plugin"]\n',
        "replaced_shop/__init__.py": "",
        "replaced_shop/beans.py": """
from abc import ABC, abstractmethod

from aspyx.di import conditional, injectable, module, requires_feature


class Bank(ABC):
    @abstractmethod
    def name(self) -> str: ...


@injectable()
@conditional(requires_feature("production"))
class RealBank(Bank):
    def name(self) -> str:
        return "real"


@module()
class ShopModule:
    pass
""",
        "test_banks.py": """
import pytest
from aspyx.di import Environment, create, module
from aspyx.di.di import ProviderCollisionException
from replaced_shop.beans import Bank, RealBank, ShopModule


class FakeBank(Bank):
    def name(self) -> str:
        return "fake"


def test_a_module_outside_of_the_package_provides_the_bean():
    @module(imports=[ShopModule])
    class TestModule:
        @create()
        def bank(self) -> Bank:
            return FakeBank()

    assert Environment(TestModule).get(Bank).name() == "fake"


def test_a_feature_selects_the_bean():
    assert Environment(ShopModule, features=["production"]).get(RealBank).name() == "real"
    assert not Environment(ShopModule).is_registered_type(RealBank)


def test_a_second_provider_is_an_error():
    @module(imports=[ShopModule])
    class TestModule:
        @create()
        def bank(self) -> RealBank:
            return RealBank()

    with pytest.raises(ProviderCollisionException):
        Environment(TestModule, features=["production"])
""",
    }
    done = run_project(tmp_path, files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
