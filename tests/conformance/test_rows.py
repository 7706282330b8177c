"""Which tests of the conformance suite cover which requirement: the suite itself carries no row numbers."""

from __future__ import annotations

import pytest

from aspyx_event.testing.conformance import ProviderConformance

#: Rows of the requirement lists (AX: aspyx-event 0.9, BQ: baroque, EP: evproc, VR: vireo) and the tests that cover them.
ROWS = {
    "AX-03": (
        "test_durable_queue_keeps_messages",
        "test_durable_queue_outlives_provider",
        "test_durable_events_wait",
        "test_volatile_events_do_not_wait",
    ),
    "AX-04": ("test_broadcast",),
    "AX-11": ("test_same_name_competes", "test_processes_share_events"),
    "AX-12": (
        "test_unnamed_queue_per_consumer",
        "test_per_process",
        "test_resumable_per_process",
        "test_per_process_across_processes",
    ),
    "AX-13": ("test_group_competes",),
    "AX-15": ("test_sync_and_async_listeners",),
    "AX-16": (
        "test_each_listener_called_once",
        "test_each_listener_gets_own_event_object",
        "test_failure_does_not_affect_others",
    ),
    "AX-24": ("test_stopped_by_interceptor",),
    "AX-31": ("test_header_values_unchanged", "test_header_names_unchanged", "test_interceptor_headers"),
    "AX-32": ("test_send_headers",),
    "AX-47": ("test_unsubscribe",),
    "AX-49": ("test_manager_restart",),
    "AX-63": ("test_each_listener_called_once", "test_killed_process"),
    "BQ-22": ("test_subscription_to_any",),
    "BQ-54": ("test_subtypes",),
    "BQ-61": ("test_condition_skips_event", "test_failing_condition"),
    "BQ-74": ("test_topic",),
    "BQ-75": ("test_topic",),
    "EP-04": ("test_shared_data",),
    "EP-08": ("test_condition_skips_event",),
    "EP-13": ("test_handler_order",),
    "EP-14": ("test_handler_order",),
    "EP-25": ("test_returned_events",),
    "EP-26": ("test_stop_processing",),
    "VR-02": ("test_generic_event",),
    "VR-04": ("test_resumable_generic_event",),
    "VR-06": ("test_pattern_subscription",),
    "VR-11": ("test_cooldown",),
}


@pytest.mark.parametrize(("row", "test"), [(row, test) for row, tests in ROWS.items() for test in tests])
def test_row_is_covered(row, test):
    """The test that the table names is part of the suite."""
    assert callable(getattr(ProviderConformance, test, None)), f"{row} names {test}, which is not in the suite"


def test_suite_has_no_row_numbers():
    """Third parties run the suite: its test names say only the behaviour."""
    prefixes = tuple(f"test_{row.partition('-')[0].lower()}_" for row in ROWS)
    assert not [name for name in dir(ProviderConformance) if name.startswith(prefixes)]
