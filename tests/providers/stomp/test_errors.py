"""What ERROR frames become."""

from __future__ import annotations

import pytest

from aspyx_event.exceptions import (
    AuthenticationError,
    ConnectError,
    HeaderError,
    NotAcceptedError,
    PermissionDeniedError,
    UnsupportedError,
)
from aspyx_event.providers.stomp.errors import (
    RefusedError,
    broker_error,
    connect_error,
    error_reason,
    may_answer_subscribe,
    publish_error,
)


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("Security Error occurred: User name [x] or password is invalid", AuthenticationError),
        ("AMQ229031: Unable to validate user from /127.0.0.1:1", AuthenticationError),
        ("Bad CONNECT", AuthenticationError),
        ("AMQ229032: User: joe does not have permission='SEND' on address x", PermissionDeniedError),
        ("AMQ229213: User: joe does not have permission='SEND' for queue q on address a", PermissionDeniedError),
        ('AMQ229102: Address "x" is full.', NotAcceptedError),
        ("AMQ339028: Message header too big, increase minLargeMessageSize please.", HeaderError),
        ("AMQ339001: Destination does not exist: x", UnsupportedError),
        ("AMQ339041: Not allowed to specify ANYCAST semantics on [MULTICAST] address.", UnsupportedError),
        ("AMQ339011 Error sending message", NotAcceptedError),
        ("AMQ339016 Error creating subscription 1", PermissionDeniedError),
        ("something else", RefusedError),
    ],
)
def test_an_error_frame_becomes_the_error_that_says_what_to_do(reason: str, error: type[Exception]) -> None:
    found = broker_error("publish to 'x'", reason)
    assert type(found) is error
    assert str(found).startswith("publish to 'x': ")


def test_publish_fails_only_with_errors_of_the_port() -> None:
    for reason in ("AMQ339001 Destination does not exist x", "Bad CONNECT", "something"):
        assert type(publish_error("publish", reason)) is NotAcceptedError
    assert type(publish_error("publish", "AMQ229032 no")) is PermissionDeniedError


def test_a_refused_connect_is_a_connect_error() -> None:
    assert type(connect_error("there", "Security Error occurred")) is AuthenticationError
    assert type(connect_error("there", "too many connections")) is ConnectError


def test_the_reason_leaves_out_the_message_that_the_broker_quotes() -> None:
    quoted = "AMQ339011: Error sending message CoreMessage[messageID=1,properties=TypedProperties[secret=token]]"
    assert error_reason({"message": quoted}, b"AMQ229102: full") == "AMQ339011: Error sending message: AMQ229102: full"
    assert error_reason({"message": "AMQ229032 User x"}, b"AMQ229032: User: x") == "AMQ229032: User: x"
    assert len(error_reason({"message": "x" * 5000}, b"")) <= 300


def test_errors_of_acks_are_not_taken_for_the_answer_to_a_subscribe() -> None:
    assert may_answer_subscribe("AMQ339016 Error creating subscription 7")
    assert not may_answer_subscribe("AMQ339025 failed to ack because no message with id 1,2")
    assert not may_answer_subscribe("consumer with ID ServerConsumerImpl [id=154, filter=null")
