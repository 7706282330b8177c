"""The contracts of event stores and inbox stores, run on every store of this package."""

from __future__ import annotations

import pytest

from aspyx_event.database import MemoryEventStore, MemoryInboxStore, SqlEventStore, SqlInboxStore
from aspyx_event.testing.conformance import EventStoreConformance, InboxStoreConformance


class TestMemory(EventStoreConformance):
    persistent = False

    def make_store(self):
        return MemoryEventStore()


class TestSQLite(EventStoreConformance):
    @pytest.fixture(autouse=True)
    def _database(self, sqlite_url):
        self.url = sqlite_url

    def make_store(self):
        return SqlEventStore(self.url)


class TestPostgreSQL(EventStoreConformance):
    @pytest.fixture(autouse=True)
    def _database(self, postgresql_url):
        self.url = postgresql_url

    def make_store(self):
        return SqlEventStore(self.url)


class TestMemoryInbox(InboxStoreConformance):
    persistent = False

    def make_store(self):
        return MemoryInboxStore()


class TestSQLiteInbox(InboxStoreConformance):
    @pytest.fixture(autouse=True)
    def _database(self, sqlite_url):
        self.url = sqlite_url

    def make_store(self):
        return SqlInboxStore(self.url)


class TestPostgreSQLInbox(InboxStoreConformance):
    @pytest.fixture(autouse=True)
    def _database(self, postgresql_url):
        self.url = postgresql_url

    def make_store(self):
        return SqlInboxStore(self.url)


class TestInboxBesideAnEventStore(InboxStoreConformance):
    """It shares the connections of the event store."""

    @pytest.fixture(autouse=True)
    def _database(self, sqlite_url):
        self.url = sqlite_url

    def make_store(self):
        return SqlInboxStore(SqlEventStore(self.url))
