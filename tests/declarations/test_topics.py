"""Topics: registered, found, sent to; what users of Baroque know, rows BQ of the features."""

from __future__ import annotations

import json

import pytest
from support_core import Recorder, eventually, settle
from support_reactions import Born, Grown

from aspyx_event import DeclarationError, EventManager, LocalProvider, Topic
from aspyx_event.exceptions import EventNotInTopicError, UnregisteredEventTypeError, UnregisteredTopicError


def test_topics_are_registered_found_and_removed():
    topics = EventManager(LocalProvider()).topics
    family = topics.new("family", [Born, Grown], "what happens in it", owner="me", tags={"home", "people"})
    other = topics.register(Topic("other", (Born,), owner="me"))
    assert topics.register(other) is other
    assert (len(topics), list(topics), family in topics, "other" in topics, "x" in topics) == (
        2,
        [family, other],
        True,
        True,
        False,
    )
    assert (topics.with_name("family"), topics.with_id(other.id), topics.with_name("Family")) == (family, other, None)
    assert topics.of("me") == [family, other]
    assert topics.with_tags(["home"]) == topics.with_tags({"home", "people"}) == [family]
    assert topics.with_tags([]) == topics.with_tags(["home", "x"]) == []
    topics.remove("other")
    assert list(topics) == [family]
    for wrong, error, words in (
        (lambda: topics.remove(other), UnregisteredTopicError, "'other' is not registered"),
        (lambda: topics.with_tags("home"), DeclarationError, "not a single str"),
        (lambda: topics.register("family"), DeclarationError, "is not a Topic"),
        (lambda: topics.new("family", [Born]), DeclarationError, "another topic is called 'family'"),
        (lambda: Topic("t", ()), DeclarationError, "carries no event class"),
        (lambda: Topic("t", (str,)), UnregisteredEventTypeError, "str is not an event"),
        (lambda: Topic("t", (Born,), tags="text"), DeclarationError, "is a single str"),
        (lambda: Topic("a*b", (Born,)), DeclarationError, r"a\*b"),
    ):
        with pytest.raises(error, match=words):
            wrong()


def test_what_topics_and_events_say_is_json_with_a_hash_that_depends_on_nothing_else():
    one, two = Topic("t", (Born, Grown), tags={"a", "b"}), Topic("t", (Grown, Born), tags={"b", "a"})
    assert (one.id != two.id, one.content_hash == two.content_hash) == (True, True)
    assert json.loads(one.json())["name"] == "t"
    assert one.content_hash != Topic("t", (Born,)).content_hash
    descriptor = EventManager(LocalProvider()).events.add(Born)
    assert json.loads(descriptor.json())["schema"]["required"] == ["name"]
    other = EventManager(LocalProvider()).events.add(Grown)
    assert descriptor.content_hash != other.content_hash


async def test_a_topic_and_the_classes_own_listeners_are_apart():
    on_topic, on_class = Recorder(), Recorder()
    async with EventManager(LocalProvider()) as manager:
        topic = Topic("family", (Born,))
        await manager.subscribe(topic, on_topic, name="topic")
        await manager.subscribe(Born, on_class, name="class")
        assert topic in manager.topics, "it is registered by that"
        await manager.send_event(Born("on the topic"), topic="family")
        await manager.send_event(Born("to the class"))
        await eventually(lambda: on_topic.handled and on_class.handled)
        await settle()
        assert (on_topic.events, on_class.events) == ([Born("on the topic")], [Born("to the class")])
        with pytest.raises(EventNotInTopicError, match=r"carries reactions\.born, not Grown; nothing was sent"):
            manager.send_event(Grown(1), topic=topic)
        with pytest.raises(UnregisteredTopicError, match="topic 'unknown' is not registered"):
            manager.send_event(Born("x"), topic="unknown")
        assert manager.stats.sent() == 2


async def test_a_topic_has_several_consumers():
    first, second = Recorder(), Recorder()
    async with EventManager(LocalProvider()) as manager:
        topic = manager.topics.new("family", Born)
        await manager.subscribe(topic, first, name="first")
        await manager.subscribe(topic, second, name="second")
        await manager.send_event(Born("a"), topic=topic)
        await eventually(lambda: first.handled and second.handled)
