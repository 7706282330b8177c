"""Which tests cover which requirement of the frameworks that this project follows; the tests carry no row numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
#: Rows of the requirement lists (AX: aspyx-event 0.9, BQ: baroque, EP: evproc, VR: vireo) and the tests that cover them, beside those of
#: the conformance suite (tests/conformance/test_rows.py).
ROWS = {
    "AX-01": (
        "declarations/test_events.py::test_every_order_of_decorators_and_every_kind_of_class_is_an_event",
        "declarations/test_events.py::test_a_slots_dataclass_is_described_as_the_class_that_users_hold",
        "declarations/test_events.py::test_a_class_made_from_a_described_one_is_described_anew",
    ),
    "AX-02": (
        "declarations/test_events.py::test_the_name_is_the_class_name_unless_given",
        "declarations/test_events.py::test_two_classes_of_one_name_are_refused_by_the_manager_that_meets_both",
        "declarations/test_events.py::test_another_manager_may_use_the_other_class",
        "declarations/test_events.py::test_the_same_class_declared_anew_replaces_the_old_one",
    ),
    "AX-03": ("declarations/test_events.py::test_a_durable_event_waits_for_its_listener_and_a_volatile_one_does_not",),
    "AX-04": (
        "declarations/test_events.py::test_a_broadcast_event_reaches_every_process_even_under_one_listener_name",
    ),
    "AX-05": (
        "codecs/test_errors.py::test_validators_run_on_receive",
        "codecs/test_json.py::test_every_kind_of_field_arrives_as_it_was_sent",
        "codecs/test_json.py::test_models_slots_and_generics_arrive_as_they_were_sent",
        "codecs/test_json.py::test_infinities_and_extremes_survive",
        "codecs/test_json.py::test_nan_survives_and_the_body_stays_json",
        "codecs/test_properties.py::test_any_tree_arrives_equal",
    ),
    "AX-06": (
        "declarations/test_events.py::test_what_is_no_event_is_refused_with_its_name",
        "declarations/test_events.py::test_a_subclass_may_be_declared_an_event_of_its_own",
    ),
    "AX-10": (
        "declarations/test_listeners.py::test_a_listener_class_gets_its_events",
        "declarations/test_listeners.py::test_deriving_from_the_base_class_is_not_needed",
        "declarations/test_listeners.py::test_a_class_may_be_stacked_for_several_events",
        "declarations/test_listeners.py::test_functions_and_methods_can_be_marked",
        "declarations/test_listeners.py::test_an_event_may_be_given_by_its_name",
    ),
    "AX-11": (
        "declarations/test_listeners.py::test_a_listener_is_called_after_its_class_and_a_handler_after_its_function",
        "declarations/test_listeners.py::test_a_stacked_listener_has_a_queue_per_event",
    ),
    "AX-12": (
        "declarations/test_listeners.py::test_without_per_process_two_processes_share_the_events_of_one_listener",
        "declarations/test_listeners.py::test_with_per_process_every_process_gets_every_event",
        "declarations/test_listeners.py::test_a_resumable_listener_per_process_keeps_a_queue_per_server",
    ),
    "AX-13": ("declarations/test_listeners.py::test_a_group_makes_differently_named_listeners_compete",),
    "AX-14": (
        "di/test_environments.py::test_listeners_are_injected_with_beans_configuration_and_their_environment",
        "di/test_environments.py::test_a_listener_is_built_at_start_and_once",
        "di/test_environments.py::test_a_listener_whose_dependency_nobody_provides_fails_with_its_name",
        "di/test_environments.py::test_a_listener_whose_constructor_fails_stops_the_start_with_its_name_and_cause",
        "di/test_environments.py::test_the_first_send_of_a_plain_script_says_which_listener_cannot_be_built",
    ),
    "AX-15": (
        "declarations/test_listeners.py::test_an_async_listener_is_told_about_its_delivery",
        "declarations/test_listeners.py::test_a_sync_listener_that_blocks_does_not_block_the_loop",
        "declarations/test_listeners.py::test_an_inline_listener_runs_on_the_loop",
        "declarations/test_listeners.py::test_a_sync_listener_runs_in_another_thread_with_the_context_variables_of_its_delivery",
        "declarations/test_listeners.py::test_a_sync_function_may_return_an_awaitable",
    ),
    "AX-16": (
        "declarations/test_listeners.py::test_every_listener_gets_the_event_and_each_one_a_copy_of_its_own",
        "declarations/test_listeners.py::test_a_failing_listener_never_stops_another_one",
    ),
    "AX-20": (
        "pipeline/test_pipelines.py::test_the_interface_has_two_abstract_methods",
        "pipeline/test_pipelines.py::test_every_interceptor_sees_each_side_once_in_order_outermost_first",
    ),
    "AX-21": (
        "pipeline/test_pipelines.py::test_the_interface_has_two_abstract_methods",
        "pipeline/test_pipelines.py::test_every_interceptor_sees_each_side_once_in_order_outermost_first",
        "pipeline/test_pipelines.py::test_handle_runs_once_per_message_and_listener_with_that_listeners_descriptor",
    ),
    "AX-22": (
        "pipeline/test_pipelines.py::test_both_sides_of_the_base_proceed_unless_overridden",
        "pipeline/test_pipelines.py::test_proceeding_may_be_awaited_or_not",
    ),
    "AX-23": ("di/test_environments.py::test_interceptors_are_beans_ordered_by_order_and_the_last_declared_outermost",),
    "AX-24": (
        "pipeline/test_pipelines.py::test_an_interceptor_that_does_not_proceed_stops_the_event_on_the_sending_side",
        "pipeline/test_pipelines.py::test_an_interceptor_that_does_not_proceed_acknowledges_on_the_receiving_side",
    ),
    "AX-25": (
        "manager/test_manager.py::test_the_documented_nested_names_are_the_public_classes",
        "pipeline/test_pipelines.py::test_handle_runs_once_per_message_and_listener_with_that_listeners_descriptor",
    ),
    "AX-30": ("pipeline/test_pipelines.py::test_interceptors_read_the_body_as_json_text_on_both_sides",),
    "AX-31": (
        "pipeline/test_pipelines.py::test_headers_travel_and_unknown_ones_read_as_empty",
        "pipeline/test_pipelines.py::test_a_header_is_text",
        "providers/local/test_port.py::test_a_header_with_a_name_of_the_protocols_travels_under_another_one",
        "providers/local/test_port.py::test_other_headers_travel_as_they_are",
    ),
    "AX-32": (
        "pipeline/test_pipelines.py::test_headers_travel_and_unknown_ones_read_as_empty",
        "pipeline/test_pipelines.py::test_headers_given_with_an_event_reach_every_listener",
    ),
    "AX-33": (
        "pipeline/test_pipelines.py::test_a_session_captured_on_the_sending_side_is_current_in_the_listener",
        "pipeline/test_pipelines.py::test_a_session_is_captured_without_a_running_loop_too",
    ),
    "AX-40": ("di/test_environments.py::test_the_environment_gives_the_one_manager_of_its_module",),
    "AX-41": (
        "di/test_environments.py::test_two_environments_of_one_process_do_not_see_each_other",
        "di/test_environments.py::test_two_environments_of_one_module_have_listeners_of_their_own",
        "di/test_environments.py::test_a_child_environment_has_its_own_listeners_and_its_parents_beans",
        "manager/test_manager.py::test_the_constructor_keeps_names_and_order",
        "manager/test_manager.py::test_the_documented_nested_names_are_the_public_classes",
        "manager/test_manager.py::test_what_is_no_provider_is_refused",
        "manager/test_manager.py::test_what_reacts_to_nothing_is_refused",
    ),
    "AX-42": (
        "coming_from/test_original_readme.py::test_the_documented_example_runs_in_a_plain_script",
        "coming_from/test_original_readme.py::test_the_documented_example_runs_in_an_async_program",
        "engine/sending/test_receipts.py::test_an_awaited_receipt_means_that_the_event_is_queued_not_that_it_is_handled",
        "engine/sending/test_receipts.py::test_a_receipt_carries_the_id_that_listeners_see",
        "engine/sending/test_receipts.py::test_receipts_work_with_asyncio",
        "engine/sending/test_receipts.py::test_without_a_loop_the_call_returns_when_every_listener_is_done",
        "engine/sending/test_receipts.py::test_without_a_loop_a_failing_listener_does_not_fail_the_send_but_is_logged",
        "engine/sending/test_receipts.py::test_without_a_loop_a_failing_send_raises",
        "engine/sending/test_receipts.py::test_from_a_worker_thread_the_call_waits_and_from_a_foreign_loop_the_receipt_is_awaited_there",
        "engine/sending/test_receipts.py::test_errors_reach_threads_and_foreign_loops",
        "engine/sending/test_receipts.py::test_a_sync_listener_may_send_although_it_holds_its_queue",
        "engine/sending/test_receipts.py::test_a_sync_listener_may_send_in_a_plain_script_too",
        "engine/sending/test_receipts.py::test_many_threads_may_send_at_once_and_start_the_manager_once",
        "manager/test_manager.py::test_sending_is_a_plain_call_whose_receipt_may_be_awaited_or_not",
    ),
    "AX-43": (
        "di/test_environments.py::test_the_exception_manager_of_the_module_gets_what_a_listener_raises",
        "engine/failure/test_error_reports.py::test_the_most_specific_handler_gets_the_error_once",
        "engine/failure/test_error_reports.py::test_a_handler_knows_event_and_subscription",
        "engine/failure/test_error_reports.py::test_handlers_may_be_async",
        "engine/failure/test_error_reports.py::test_a_failing_handler_is_logged_and_stops_nothing",
        "engine/failure/test_error_reports.py::test_only_the_last_attempt_reaches_the_handlers",
    ),
    "AX-44": (
        "engine/failure/test_error_reports.py::test_an_error_nobody_handles_is_logged_once_with_event_and_listener",
        "engine/failure/test_error_reports.py::test_earlier_attempts_are_warnings",
        "engine/failure/test_error_reports.py::test_a_handler_that_cancels_itself_leaves_its_subscription_alive",
        "engine/failure/test_error_reports.py::test_bodies_and_header_values_are_not_logged",
        "engine/sending/test_receipts.py::test_a_failing_send_that_nobody_awaits_is_reported_once",
        "engine/sending/test_receipts.py::test_a_failing_send_that_nobody_awaits_goes_to_the_exception_manager",
        "engine/sending/test_receipts.py::test_a_failing_send_that_is_awaited_is_not_reported",
        "engine/sending/test_receipts.py::test_a_lost_failure_in_a_foreign_loop_is_reported_too",
    ),
    "AX-45": ("manager/test_manager.py::test_the_module_and_the_local_provider_are_public",),
    "AX-46": (
        "coming_from/test_original_readme.py::test_the_documented_example_runs_in_a_plain_script",
        "manager/test_manager.py::test_in_a_loop_sending_returns_before_the_listeners_run",
        "manager/test_manager.py::test_without_a_loop_sending_returns_after_the_listeners_ran",
        "manager/test_manager.py::test_the_module_and_the_local_provider_are_public",
    ),
    "AX-47": (
        "manager/test_manager.py::test_subscribing_by_class_and_by_name",
        "manager/test_manager.py::test_an_unknown_name_has_no_descriptor_and_a_class_that_is_no_event_is_refused",
        "manager/test_manager.py::test_unsubscribing_detaches_the_queue_and_tells_whether_it_was_there",
        "manager/test_manager.py::test_a_subscription_is_cancelled_once",
        "manager/test_manager.py::test_subscribing_and_unsubscribing_leaves_nothing_behind",
        "manager/test_manager.py::test_functions_of_one_name_get_different_queues",
        "manager/test_manager.py::test_a_lambda_needs_a_name_where_its_queue_outlives_the_program",
        "manager/test_manager.py::test_one_queue_cannot_serve_two_events",
        "manager/test_manager.py::test_stats_tell_what_a_subscription_did",
        "manager/test_manager.py::test_a_subscription_that_cannot_be_attached_is_forgotten",
    ),
    "AX-48": ("manager/test_manager.py::test_descriptors_are_looked_up_by_class_and_name",),
    "AX-49": (
        "di/test_environments.py::test_a_stopped_environment_leaves_no_thread_and_no_running_manager",
        "di/test_environments.py::test_a_plain_script_starts_sends_and_destroys_from_three_loops",
        "manager/test_programs.py::test_a_plain_script_that_ends_without_a_stop_finishes_its_handlers",
        "manager/test_programs.py::test_an_idle_plain_script_ends_at_once",
        "manager/test_programs.py::test_an_error_at_the_end_of_a_script_keeps_its_exit_code",
        "manager/test_programs.py::test_an_async_program_that_ends_without_a_stop_ends_promptly",
        "manager/test_programs.py::test_asyncio_run_twice_without_a_stop_says_what_to_do",
        "manager/test_programs.py::test_a_keyboard_interrupt_ends_a_plain_script_in_order",
    ),
    "AX-50": (
        "manager/test_manager.py::test_a_transport_of_somebody_else_is_plugged_in",
        "manager/test_manager.py::test_what_a_transport_lacks_is_refused_before_anything_is_sent",
    ),
    "AX-60": (
        "conformance/test_application.py::test_an_application_in_a_container",
        "conformance/test_application.py::test_a_plain_script_waits_for_the_broker",
        "providers/test_constructors.py::test_the_amqp_constructor_keeps_names_order_and_defaults",
        "providers/test_constructors.py::test_both_documented_names_are_one_class",
        "providers/test_constructors.py::test_a_server_name_is_needed",
        "providers/test_constructors.py::test_a_provider_never_shows_its_password",
        "providers/test_constructors.py::test_importing_and_constructing_loads_no_driver_and_opens_nothing",
        "providers/test_constructors.py::test_a_missing_driver_is_named_with_the_command_that_installs_it",
    ),
    "AX-61": (
        "conformance/test_application.py::test_queues_have_the_documented_names",
        "conformance/test_interop_clients.py::test_a_plain_amqp_client_reads_a_valid_cloud_event",
        "conformance/test_interop_clients.py::test_a_plain_stomp_client_reads_the_same",
        "providers/test_constructors.py::test_a_queue_is_named_after_the_listener_and_with_per_process_after_the_server_too",
        "providers/test_constructors.py::test_a_volatile_queue_per_process_needs_no_name",
    ),
    "AX-62": (
        "providers/test_constructors.py::test_queue_names_may_be_qualified_by_the_event_for_brokers_with_one_name_space",
    ),
    "AX-63": ("manager/test_manager.py::test_n_listeners_handle_an_event_n_times_and_settle_after_their_handlers",),
    "AX-64": (
        "conformance/test_application.py::test_an_application_survives_the_death_of_its_broker",
        "providers/test_constructors.py::test_reconnecting_is_configured_and_on_by_default",
    ),
    "AX-70": (
        "conformance/test_application.py::test_an_application_in_a_container",
        "conformance/test_application.py::test_a_plain_script_waits_for_the_broker",
        "providers/test_constructors.py::test_a_missing_driver_is_named_with_the_command_that_installs_it",
        "providers/test_constructors.py::test_the_stomp_constructor_keeps_names_order_and_defaults",
    ),
    "AX-71": (
        "conformance/test_interop_clients.py::test_an_event_is_equal_whichever_way_it_travelled",
        "conformance/test_interop_clients.py::test_a_plain_amqp_client_needs_json_and_the_name_only",
        "conformance/test_interop_clients.py::test_a_plain_stomp_client_needs_json_and_the_name_only",
        "conformance/test_interop_clients.py::test_a_foreign_cloud_event_keeps_its_attributes",
        "conformance/test_interop_clients.py::test_the_time_of_a_foreign_event_may_be_a_timestamp",
        "conformance/test_interop_clients.py::test_what_the_cloudevents_package_writes_is_an_event",
        "conformance/test_interop_clients.py::test_a_plain_amqp_client_reads_a_valid_cloud_event",
        "conformance/test_interop_clients.py::test_a_plain_stomp_client_reads_the_same",
        "providers/test_constructors.py::test_what_listeners_rely_on_is_offered_over_both_protocols",
    ),
    "AX-80": ("manager/test_manager.py::test_the_package_says_which_pythons_it_is_for",),
    "AX-81": ("manager/test_manager.py::test_the_loggers_are_below_aspyx_event",),
    "BQ-01": ("declarations/test_configuration.py::test_a_manager_without_configuration_has_the_defaults",),
    "BQ-02": (
        "declarations/test_configuration.py::test_a_yaml_file_configures_a_manager",
        "declarations/test_configuration.py::test_partial_and_empty_files_fall_back_to_the_defaults",
        "declarations/test_configuration.py::test_a_broken_file_names_line_and_key",
        "declarations/test_configuration.py::test_a_missing_file_is_named",
    ),
    "BQ-03": (
        "coming_from/test_baroque.py::test_a_configuration_is_read_by_itself_and_says_what_it_says",
        "coming_from/test_baroque_configuration.py::test_the_default_configuration_is_read_by_its_keys_and_nobody_can_change_it",
    ),
    "BQ-04": (
        "coming_from/test_baroque.py::test_a_configuration_is_read_by_itself_and_says_what_it_says",
        "coming_from/test_baroque_configuration.py::test_a_manager_tells_the_configuration_that_is_in_effect",
        "coming_from/test_baroque_configuration.py::test_what_a_configuration_tells_is_what_a_file_takes",
    ),
    "BQ-05": ("coming_from/test_baroque.py::test_the_version_is_that_of_the_package",),
    "BQ-10": ("declarations/test_configuration.py::test_a_manager_without_configuration_has_the_defaults",),
    "BQ-11": ("declarations/test_configuration.py::test_broken_dotted_paths_are_named",),
    "BQ-12": (
        "declarations/test_configuration.py::test_events_are_checked_on_every_way_of_sending_unless_that_is_switched_off",
    ),
    "BQ-13": (
        "database/test_brokers.py::test_what_is_sent_over_a_broker_is_stored_in_order_and_replayed_to_one_queue",
        "database/test_sending.py::test_a_sent_event_is_found_with_all_that_is_known_of_it",
        "database/test_sending.py::test_without_persist_the_store_is_opened_and_nothing_is_written",
    ),
    "BQ-14": (
        "database/test_sending.py::test_a_store_has_to_be_there_and_has_to_be_one",
        "declarations/test_configuration.py::test_broken_dotted_paths_are_named",
    ),
    "BQ-15": (
        "declarations/test_configuration.py::test_what_a_handler_raises_reaches_the_caller_of_process_or_the_log",
    ),
    "BQ-16": ("coming_from/test_baroque.py::test_a_topic_is_registered_by_its_use_or_refused",),
    "BQ-20": (
        "coming_from/test_baroque_configuration.py::test_one_word_subscribes_to_whatever_is_wanted_and_gives_the_subscription",
        "reactions/test_reactions.py::test_one_subscription_to_a_class_and_one_to_any",
    ),
    "BQ-21": (
        "coming_from/test_baroque_configuration.py::test_one_word_subscribes_to_whatever_is_wanted_and_gives_the_subscription",
    ),
    "BQ-22": ("reactions/test_reactions.py::test_one_subscription_to_a_class_and_one_to_any",),
    "BQ-24": (
        "coming_from/test_baroque.py::test_process_hands_the_very_object_to_all_handlers_within_the_call",
        "coming_from/test_baroque_configuration.py::test_in_a_program_without_a_loop_sending_returns_when_the_handlers_are_done",
        "coming_from/test_baroque_configuration.py::test_what_is_sent_reaches_no_more_than_its_own_listeners",
    ),
    "BQ-25": ("reactions/test_reactions.py::test_what_was_sent_and_handled_is_counted_by_class_event_and_name",),
    "BQ-26": (
        "coming_from/test_baroque.py::test_event_types_are_known_by_class_and_by_name",
        "coming_from/test_baroque_configuration.py::test_a_name_belongs_to_one_event_type_of_a_manager",
    ),
    "BQ-27": (
        "coming_from/test_baroque.py::test_subscriptions_are_listed_by_what_they_consume_and_dropped",
        "coming_from/test_baroque_configuration.py::test_subscriptions_are_found_by_event_and_a_cancelled_one_hears_nothing",
    ),
    "BQ-28": ("reactions/test_reactions.py::test_a_subscription_is_counted_found_and_cancelled",),
    "BQ-29": (
        "coming_from/test_baroque.py::test_subscriptions_are_listed_by_what_they_consume_and_dropped",
        "coming_from/test_baroque_configuration.py::test_subscriptions_are_found_by_event_and_a_cancelled_one_hears_nothing",
    ),
    "BQ-30": (
        "coming_from/test_baroque.py::test_several_event_types_are_one_target",
        "coming_from/test_baroque_configuration.py::test_a_bag_of_event_types_takes_classes_and_refuses_what_is_none",
    ),
    "BQ-40": (
        "coming_from/test_baroque.py::test_what_is_known_of_an_event_is_fixed_when_it_is_sent",
        "coming_from/test_baroque_configuration.py::test_the_status_of_an_event_says_how_far_it_came",
    ),
    "BQ-41": ("reactions/test_reactions.py::test_the_metadata_of_a_sent_event_is_at_hand_on_both_sides",),
    "BQ-42": (
        "coming_from/test_baroque.py::test_what_is_known_of_an_event_is_fixed_when_it_is_sent",
        "coming_from/test_baroque_configuration.py::test_the_status_of_an_event_says_how_far_it_came",
    ),
    "BQ-43": (
        "coming_from/test_baroque.py::test_what_is_known_of_an_event_is_fixed_when_it_is_sent",
        "coming_from/test_baroque_configuration.py::test_each_send_has_the_time_it_was_made_and_an_identity_of_its_own",
    ),
    "BQ-44": (
        "database/test_records.py::test_the_json_is_canonical_and_holds_the_payload_as_an_object",
        "reactions/test_reactions.py::test_the_metadata_of_a_sent_event_is_at_hand_on_both_sides",
    ),
    "BQ-45": (
        "database/test_records.py::test_the_hash_is_the_same_for_what_says_the_same",
        "database/test_records.py::test_the_hash_differs_for_what_says_something_else",
        "reactions/test_reactions.py::test_the_metadata_of_a_sent_event_is_at_hand_on_both_sides",
    ),
    "BQ-50": (
        "coming_from/test_baroque.py::test_an_event_is_held_to_its_json_schema_and_a_bad_schema_is_told_where_it_is_declared",
        "coming_from/test_baroque_configuration.py::test_an_event_is_checked_by_hand_without_being_sent",
    ),
    "BQ-51": (
        "coming_from/test_baroque.py::test_an_event_is_held_to_its_json_schema_and_a_bad_schema_is_told_where_it_is_declared",
        "coming_from/test_baroque_configuration.py::test_an_event_is_checked_by_hand_without_being_sent",
    ),
    "BQ-52": (
        "declarations/test_configuration.py::test_events_are_checked_on_every_way_of_sending_unless_that_is_switched_off",
    ),
    "BQ-53": (
        "coming_from/test_baroque.py::test_event_types_are_known_by_class_and_by_name",
        "declarations/test_topics.py::test_what_topics_and_events_say_is_json_with_a_hash_that_depends_on_nothing_else",
    ),
    "BQ-55": ("reactions/test_reactions.py::test_ready_made_events",),
    "BQ-56": ("reactions/test_reactions.py::test_ready_made_events",),
    "BQ-57": ("reactions/test_reactions.py::test_ready_made_events",),
    "BQ-58": ("reactions/test_reactions.py::test_ready_made_events",),
    "BQ-59": (
        "coming_from/test_baroque.py::test_a_generic_event_and_a_plain_function_are_enough",
        "coming_from/test_baroque_configuration.py::test_a_generic_event_takes_a_name_and_any_payload",
    ),
    "BQ-60": (
        "coming_from/test_baroque.py::test_a_generic_event_and_a_plain_function_are_enough",
        "coming_from/test_baroque_configuration.py::test_functions_methods_objects_and_coroutines_are_handlers",
    ),
    "BQ-62": (
        "coming_from/test_baroque.py::test_a_generic_event_and_a_plain_function_are_enough",
        "coming_from/test_baroque_configuration.py::test_a_handler_is_run_by_hand_without_its_condition_and_success_is_counted",
    ),
    "BQ-63": ("reactions/test_reactions.py::test_what_was_sent_and_handled_is_counted_by_class_event_and_name",),
    "BQ-64": ("reactions/test_reactions.py::test_ready_made_handlers",),
    "BQ-65": (
        "reactions/test_reactions.py::test_ready_made_handlers",
        "reactions/test_reactions.py::test_misuse_of_ready_made_handlers_is_told_at_once",
    ),
    "BQ-66": (
        "reactions/test_reactions.py::test_ready_made_handlers",
        "reactions/test_reactions.py::test_misuse_of_ready_made_handlers_is_told_at_once",
    ),
    "BQ-67": ("coming_from/test_baroque.py::test_a_webhook_posts_the_event_or_a_payload_and_keeps_the_answer",),
    "BQ-70": (
        "declarations/test_topics.py::test_topics_are_registered_found_and_removed",
        "declarations/test_topics.py::test_what_topics_and_events_say_is_json_with_a_hash_that_depends_on_nothing_else",
    ),
    "BQ-71": ("declarations/test_topics.py::test_topics_are_registered_found_and_removed",),
    "BQ-72": ("declarations/test_topics.py::test_topics_are_registered_found_and_removed",),
    "BQ-73": ("declarations/test_topics.py::test_topics_are_registered_found_and_removed",),
    "BQ-74": ("declarations/test_topics.py::test_a_topic_and_the_classes_own_listeners_are_apart",),
    "BQ-75": ("declarations/test_topics.py::test_a_topic_and_the_classes_own_listeners_are_apart",),
    "BQ-76": ("declarations/test_topics.py::test_a_topic_has_several_consumers",),
    "BQ-80": (
        "database/test_records.py::test_events_are_created_read_updated_deleted_and_cleared",
        "reactions/test_reactions.py::test_what_is_sent_is_stored_and_found_again",
    ),
    "BQ-81": ("database/test_records.py::test_events_are_created_read_updated_deleted_and_cleared",),
    "BQ-82": (
        "database/test_sending.py::test_a_sent_event_is_found_with_all_that_is_known_of_it",
        "reactions/test_reactions.py::test_what_is_sent_is_stored_and_found_again",
    ),
    "BQ-90": ("coming_from/test_baroque.py::test_classes_are_loaded_by_their_dotted_path",),
    "BQ-91": (
        "coming_from/test_baroque.py::test_what_is_known_of_an_event_is_fixed_when_it_is_sent",
        "coming_from/test_baroque_configuration.py::test_times_are_aware_and_written_in_utc",
    ),
    "BQ-92": (
        "coming_from/test_baroque.py::test_a_configuration_is_read_by_itself_and_says_what_it_says",
        "coming_from/test_baroque_configuration.py::test_what_a_configuration_tells_is_what_a_file_takes",
    ),
    "BQ-93": (
        "coming_from/test_baroque.py::test_everything_is_imported_from_the_top",
        "coming_from/test_baroque_configuration.py::test_every_public_name_is_there_and_comes_with_a_star",
    ),
    "BQ-94": (
        "docs/test_examples.py::test_two_properties_are_kept_in_step",
        "docs/test_examples.py::test_guests_of_a_chat_room_hear_the_others_and_not_themselves",
        "docs/test_examples.py::test_guests_of_a_chat_room_hear_each_other_over_a_broker",
        "docs/test_examples.py::test_an_alert_is_posted_again_until_the_receiver_takes_it",
    ),
    "BQ-95": (
        "coming_from/test_baroque.py::test_process_hands_the_very_object_to_all_handlers_within_the_call",
        "coming_from/test_baroque_configuration.py::test_without_copies_handlers_get_the_very_object_that_was_sent",
    ),
    "EK-01": (
        "cloudevents/test_event.py::test_an_event_is_made_of_keywords",
        "cloudevents/test_event.py::test_a_missing_attribute_is_refused",
    ),
    "EK-02": (
        "cloudevents/test_event.py::test_id_time_and_version_have_defaults",
        "cloudevents/test_event.py::test_what_is_assigned_is_checked_and_a_refused_value_does_not_stay",
    ),
    "EK-03": ("cloudevents/test_event.py::test_the_media_type_of_the_data_is_kept_as_given",),
    "EK-04": ("cloudevents/test_event.py::test_attributes_are_all_that_is_set_and_not_the_data",),
    "EK-05": ("cloudevents/test_event.py::test_what_is_said_of_the_data_can_be_read",),
    "EK-06": (
        "cloudevents/test_event.py::test_extensions_have_the_types_of_the_specification",
        "cloudevents/test_event.py::test_an_extension_may_be_called_like_something_of_pydantic",
        "cloudevents/test_event.py::test_a_bad_extension_name_is_refused",
    ),
    "EK-07": ("cloudevents/test_event.py::test_events_are_equal_by_value",),
    "EK-10": (
        "cloudevents/test_formats.py::test_an_event_is_written_as_one_json_object",
        "cloudevents/test_formats.py::test_json_data_stays_a_json_value",
        "cloudevents/test_formats.py::test_bytes_become_base64_and_keep_their_media_type",
    ),
    "EK-11": (
        "cloudevents/test_formats.py::test_what_is_absent_stays_absent_and_null_is_absent",
        "cloudevents/test_formats.py::test_a_media_type_may_stand_without_data",
        "cloudevents/test_formats.py::test_an_explicit_null_is_data",
        "cloudevents/test_formats.py::test_base64_is_read_by_its_media_type_where_there_is_one",
    ),
    "EK-12": ("cloudevents/test_formats.py::test_a_format_knows_its_media_types",),
    "EK-13": ("cloudevents/test_formats.py::test_a_format_of_ones_own_is_read_and_written",),
    "EK-14": ("cloudevents/test_formats.py::test_a_coder_of_ones_own_writes_and_reads_its_media_type",),
    "EK-15": ("cloudevents/test_formats.py::test_data_is_encoded_by_its_media_type_and_read_back",),
    "EK-16": ("cloudevents/test_event.py::test_media_types_have_all_the_letters_of_the_standard",),
    "EK-20": (
        "cloudevents/test_http.py::test_a_binary_message_has_attributes_in_headers_and_the_data_as_body",
        "cloudevents/test_http.py::test_without_data_there_is_neither_body_nor_content_type",
    ),
    "EK-21": ("cloudevents/test_http.py::test_a_structured_message_has_all_of_it_in_the_body",),
    "EK-22": (
        "cloudevents/test_http.py::test_header_names_have_no_case",
        "cloudevents/test_http.py::test_a_body_without_content_type_is_opaque",
        "cloudevents/test_http.py::test_raw_data_is_checked_and_left_as_it_came",
        "cloudevents/test_http.py::test_quoted_strings_are_resolved_and_percents_decoded_once",
    ),
    "EK-23": ("cloudevents/test_http.py::test_an_unknown_structured_format_is_an_error_of_its_own",),
    "EK-24": ("cloudevents/test_http.py::test_the_content_type_tells_the_mode",),
    "EK-25": (
        "cloudevents/test_http.py::test_what_is_made_can_be_posted_by_an_http_client",
        "cloudevents/test_webhook.py::test_a_cloudevent_goes_out_as_it_came_in",
    ),
    "EK-26": ("cloudevents/test_http.py::test_a_batch_has_its_own_pair_of_functions",),
    "EK-27": (
        "cloudevents/test_messaging.py::test_attributes_are_application_properties_and_the_media_type_the_content_type",
        "cloudevents/test_messaging.py::test_both_prefixes_are_read",
        "cloudevents/test_messaging.py::test_a_structured_message_has_no_properties",
    ),
    "EK-30": (
        "cloudevents/test_events.py::test_a_handler_is_registered_for_a_type_and_gets_the_event_as_it_was_sent",
        "cloudevents/test_events.py::test_a_handler_that_is_registered_twice_is_called_twice",
    ),
    "EK-31": (
        "cloudevents/test_events.py::test_one_decorator_registers_for_several_types_and_leaves_the_function_as_it_is",
    ),
    "EK-32": (
        "cloudevents/test_events.py::test_nobody_is_bothered_with_other_types",
        "cloudevents/test_events.py::test_dispatch_here_and_now_runs_the_handlers_in_the_order_they_were_registered",
    ),
    "EK-33": ("cloudevents/test_events.py::test_separate_managers_are_separate_registries",),
    "EK-34": (
        "cloudevents/test_events.py::test_no_registry_of_the_process_exists_a_marked_function_is_handed_to_its_managers",
    ),
    "EK-40": ("cloudevents/test_events.py::test_every_declared_event_is_a_cloudevent_and_back",),
    "EK-41": ("cloudevents/test_events.py::test_nothing_is_needed_but_what_the_package_needs_itself",),
    "EK-42": (
        "cloudevents/test_event.py::test_a_value_outside_of_the_type_system_is_refused",
        "cloudevents/test_event.py::test_a_value_at_the_edge_of_the_type_system_is_taken",
        "cloudevents/test_event.py::test_a_timestamp_of_rfc_3339_is_read",
        "cloudevents/test_event.py::test_an_extension_is_read_as_the_type_it_has",
        "cloudevents/test_event.py::test_an_extension_of_another_type_is_an_error",
        "cloudevents/test_event.py::test_a_time_survives_its_canonical_string",
    ),
    "EP-01": (
        "engine/subscribing/test_order.py::test_an_event_is_a_dataclass_with_a_name_and_whatever_fields_it_needs",
    ),
    "EP-02": (
        "engine/subscribing/test_order.py::test_an_event_is_a_dataclass_with_a_name_and_whatever_fields_it_needs",
    ),
    "EP-03": (
        "coming_from/test_evproc.py::test_a_caller_passes_an_object_by_a_context_variable",
        "coming_from/test_vireo.py::test_what_a_handler_needs_beside_the_event_travels_in_headers",
    ),
    "EP-04": ("engine/subscribing/test_order.py::test_data_is_shared_between_the_handlers_of_one_event_by_namespace",),
    "EP-05": ("engine/subscribing/test_order.py::test_a_handler_is_a_function_with_a_name_of_its_own_or_a_given_one",),
    "EP-06": ("engine/subscribing/test_order.py::test_a_handler_is_a_function_with_a_name_of_its_own_or_a_given_one",),
    "EP-07": (
        "engine/subscribing/test_order.py::test_names_and_predicates_of_one_want_must_all_hold_names_first",
        "engine/subscribing/test_order.py::test_want_takes_classes_patterns_and_headers_too",
    ),
    "EP-08": ("engine/subscribing/test_order.py::test_names_and_predicates_of_one_want_must_all_hold_names_first",),
    "EP-09": ("engine/subscribing/test_order.py::test_names_and_predicates_of_one_want_must_all_hold_names_first",),
    "EP-10": ("engine/subscribing/test_order.py::test_several_wants_are_alternatives_looked_at_from_the_top",),
    "EP-11": ("engine/subscribing/test_order.py::test_a_handler_without_a_want_takes_everything",),
    "EP-12": ("engine/subscribing/test_order.py::test_misuse_is_told_where_it_is_declared",),
    "EP-13": (
        "engine/subscribing/test_order.py::test_the_order_follows_requirements_and_else_registration",
        "engine/subscribing/test_order.py::test_requirements_may_name_functions_and_listener_classes",
    ),
    "EP-14": ("engine/subscribing/test_order.py::test_the_order_follows_requirements_and_else_registration",),
    "EP-15": ("engine/subscribing/test_order.py::test_the_order_follows_requirements_and_else_registration",),
    "EP-16": (
        "engine/subscribing/test_order.py::test_a_required_handler_that_does_not_want_the_event_is_refused_before_any_runs",
        "engine/subscribing/test_order.py::test_an_optional_requirement_lifts_that",
        "engine/subscribing/test_order.py::test_on_delivery_it_is_isolated_and_becomes_a_dead_letter",
    ),
    "EP-17": (
        "engine/subscribing/test_order.py::test_a_ring_is_an_error_that_names_it",
        "engine/subscribing/test_order.py::test_rings_and_missing_handlers_of_declarations_fail_the_start",
    ),
    "EP-18": (
        "engine/subscribing/test_order.py::test_rings_and_missing_handlers_of_declarations_fail_the_start",
        "engine/subscribing/test_order.py::test_a_missing_handler_is_named_and_a_missing_required_by_is_no_error",
    ),
    "EP-19": ("engine/subscribing/test_order.py::test_a_requirement_may_be_registered_later",),
    "EP-20": ("engine/subscribing/test_order.py::test_managers_are_independent",),
    "EP-21": (
        "coming_from/test_evproc.py::test_one_function_serves_under_several_names_and_equal_names_share_one_queue",
        "coming_from/test_vireo.py::test_a_handler_is_subscribed_under_several_names_and_a_queue_serves_one_event",
    ),
    "EP-22": (
        "engine/subscribing/test_entry_points.py::test_two_distributions_contribute_to_one_group",
        "engine/subscribing/test_entry_points.py::test_listener_classes_instances_and_modules_may_be_offered",
        "engine/subscribing/test_entry_points.py::test_a_group_that_nobody_offers_anything_under_gives_nothing",
        "engine/subscribing/test_entry_points.py::test_a_broken_entry_is_named_with_its_distribution_and_harms_no_other_where_that_is_asked_for",
    ),
    "EP-23": ("engine/subscribing/test_entry_points.py::test_two_distributions_contribute_to_one_group",),
    "EP-24": (
        "engine/operations/test_process.py::test_process_needs_no_loop_and_may_be_called_any_number_of_times",
        "engine/operations/test_process.py::test_what_a_handler_raises_ends_the_processing",
    ),
    "EP-25": (
        "engine/operations/test_process.py::test_returned_and_yielded_events_are_processed_breadth_first",
        "engine/operations/test_process.py::test_async_generators_may_yield_events_too",
        "engine/operations/test_process.py::test_a_handler_that_returns_something_else_is_told",
        "engine/operations/test_process.py::test_nothing_is_nothing",
    ),
    "EP-26": (
        "engine/operations/test_process.py::test_stop_processing_stops_this_event_and_not_those_returned_before",
    ),
    "EP-27": ("engine/operations/test_process.py::test_stop_processing_with_a_value_answers_at_once",),
    "EP-28": ("engine/operations/test_process.py::test_stop_processing_is_no_event_exception",),
    "EP-29": ("engine/operations/test_process.py::test_process_needs_no_loop_and_may_be_called_any_number_of_times",),
    "EP-30": ("engine/operations/test_process.py::test_a_handler_may_process_another_event_and_subscribe",),
    "EP-31": ("coming_from/test_vireo.py::test_a_handler_that_comes_later_takes_its_place_in_the_order",),
    "EP-32": ("engine/operations/test_process.py::test_a_decorated_function_stays_what_it_was",),
    "EP-33": ("coming_from/test_vireo.py::test_a_handler_that_comes_later_takes_its_place_in_the_order",),
    "EP-34": ("engine/operations/test_process.py::test_an_authorisation_check_stops_the_work",),
    "VR-01": (
        "coming_from/test_vireo.py::test_one_manager_sends_and_observes_and_its_subscriptions_have_ids",
        "coming_from/test_vireo_drivers.py::test_a_manager_that_only_sends_leaves_the_listeners_to_others",
    ),
    "VR-03": (
        "coming_from/test_vireo.py::test_equal_names_split_and_per_process_listeners_all_get_it",
        "coming_from/test_vireo_drivers.py::test_one_function_in_two_processes_shares_the_work_by_its_name",
    ),
    "VR-05": ("coming_from/test_vireo_drivers.py::test_a_handler_that_wants_more_than_the_content_gets_all_of_it",),
    "VR-06": ("coming_from/test_vireo.py::test_equal_names_split_and_per_process_listeners_all_get_it",),
    "VR-07": (
        "coming_from/test_vireo.py::test_join_waits_until_the_manager_is_stopped",
        "coming_from/test_vireo.py::test_with_an_event_loop_joined_is_awaited_and_join_says_so",
    ),
    "VR-08": ("coming_from/test_vireo.py::test_stop_lets_handlers_finish_and_a_subscription_may_stop_alone",),
    "VR-09": ("coming_from/test_vireo.py::test_what_is_sent_without_being_awaited_loses_no_error",),
    "VR-10": ("coming_from/test_vireo.py::test_what_is_sent_without_being_awaited_loses_no_error",),
    "VR-11": ("engine/subscribing/test_hooks.py::test_a_subscription_rests_after_each_message_by_the_clock",),
    "VR-12": ("coming_from/test_vireo.py::test_a_paused_subscription_leaves_its_events_in_the_queue",),
    "VR-13": ("coming_from/test_vireo.py::test_a_manager_says_whether_it_is_well",),
    "VR-20": (
        "coming_from/test_vireo_drivers.py::test_all_errors_have_one_root_and_those_of_the_connection_one_of_their_own",
    ),
    "VR-21": (
        "coming_from/test_vireo.py::test_who_cannot_connect_is_told_by_an_error_of_its_own_without_the_password",
    ),
    "VR-30": (
        "coming_from/test_vireo_drivers.py::test_several_brokers_are_tried_in_turn_and_the_password_is_not_shown",
    ),
    "VR-31": ("engine/subscribing/test_hooks.py::test_hooks_are_told_of_attaching_of_loss_and_of_what_was_given_up",),
    "VR-32": (
        "engine/subscribing/test_hooks.py::test_hooks_are_told_of_attaching_of_loss_and_of_what_was_given_up",
        "engine/subscribing/test_hooks.py::test_a_hook_that_fails_is_logged_and_changes_nothing",
    ),
    "VR-33": ("engine/subscribing/test_hooks.py::test_hooks_are_told_of_attaching_of_loss_and_of_what_was_given_up",),
    "VR-34": (
        "coming_from/test_vireo_drivers.py::test_connecting_has_a_bound_if_one_is_given",
        "coming_from/test_vireo_drivers.py::test_the_attempts_of_an_event_are_limited_or_not_and_wait_as_they_are_told",
    ),
    "VR-35": (
        "coming_from/test_vireo.py::test_any_value_of_json_is_published_with_options",
        "coming_from/test_vireo_drivers.py::test_a_provider_by_itself_publishes_to_one_queue_or_to_all_of_an_address",
    ),
    "VR-36": (
        "coming_from/test_vireo.py::test_any_value_of_json_is_published_with_options",
        "coming_from/test_vireo_drivers.py::test_a_provider_by_itself_publishes_to_one_queue_or_to_all_of_an_address",
    ),
    "VR-37": (
        "coming_from/test_vireo.py::test_join_waits_until_the_manager_is_stopped",
        "coming_from/test_vireo_drivers.py::test_a_provider_stops_with_its_consumers_and_loses_nothing_of_a_kept_queue",
    ),
    "VR-38": (
        "coming_from/test_vireo.py::test_with_an_event_loop_joined_is_awaited_and_join_says_so",
        "coming_from/test_vireo_drivers.py::test_a_provider_stops_with_its_consumers_and_loses_nothing_of_a_kept_queue",
    ),
    "VR-39": (
        "coming_from/test_vireo.py::test_stop_lets_handlers_finish_and_a_subscription_may_stop_alone",
        "coming_from/test_vireo_drivers.py::test_a_provider_stops_with_its_consumers_and_loses_nothing_of_a_kept_queue",
    ),
    "VR-40": (
        "coming_from/test_vireo.py::test_each_route_has_its_own_handler_and_options",
        "coming_from/test_vireo_drivers.py::test_an_interceptor_takes_the_routes_it_can_handle",
    ),
    "VR-41": (
        "coming_from/test_vireo.py::test_stop_lets_handlers_finish_and_a_subscription_may_stop_alone",
        "coming_from/test_vireo_drivers.py::test_what_consumes_is_changed_in_a_provider_of_ones_own_and_watched_by_an_observer",
    ),
    "VR-42": (
        "coming_from/test_vireo.py::test_each_route_has_its_own_handler_and_options",
        "coming_from/test_vireo_drivers.py::test_the_queue_of_a_subscription_is_what_its_options_say",
    ),
    "VR-43": (
        "coming_from/test_vireo.py::test_equal_names_split_and_per_process_listeners_all_get_it",
        "coming_from/test_vireo_drivers.py::test_a_subscription_is_shared_or_belongs_to_its_process",
    ),
    "VR-44": ("coming_from/test_vireo.py::test_what_fails_and_what_is_no_json_is_kept_and_the_consumer_lives_on",),
    "VR-45": ("coming_from/test_vireo.py::test_at_most_once_is_a_policy",),
    "VR-48": (
        "coming_from/test_vireo.py::test_what_fails_and_what_is_no_json_is_kept_and_the_consumer_lives_on",
        "coming_from/test_vireo_drivers.py::test_a_body_that_is_none_of_its_event_is_kept_and_harms_nobody",
    ),
    "VR-49": ("coming_from/test_vireo.py::test_one_manager_sends_and_observes_and_its_subscriptions_have_ids",),
    "VR-51": ("coming_from/test_vireo.py::test_what_happens_is_in_the_standard_log",),
}


@pytest.mark.parametrize("row", ROWS)
def test_row_is_covered(row):
    for test in ROWS[row]:
        file, name = test.split("::")
        assert re.search(rf"def {name}\(", (TESTS / file).read_text()), f"{row} names {test}, which does not exist"
