"""FIFO queues: order within a group, the group's lock, and what stays hidden behind a message in flight.

Source: SQS Developer Guide, FIFO delivery logic and recorded replies.
"""

import re
from typing import Any

import pytest

from tests.conftest import MessageClock
from tests.sqs.queues import Queue, refused
from tests.sqs.wire_clients import JsonClient


def send(queue: Queue, body: str, group: str, deduplication_id: str) -> dict[str, Any]:
    return queue.send(body, MessageGroupId=group, MessageDeduplicationId=deduplication_id)


def test_a_group_is_received_in_the_order_of_sending(fifo: Queue) -> None:
    bodies = [str(number) for number in range(25)]
    fifo.send_in_group("g", *bodies)
    found = []
    for _ in range(3):
        messages = fifo.receive(10)
        found += [message["Body"] for message in messages]
        for message in messages:
            fifo.delete(message)
    assert found == bodies


def test_one_receive_returns_several_messages_of_a_group(fifo: Queue) -> None:
    fifo.send_in_group("g", *"abcdefghijkl")
    assert fifo.receive_bodies(10) == list("abcdefghij")


def test_a_group_is_locked_while_a_message_of_it_is_in_flight(fifo: Queue) -> None:
    fifo.send_in_group("g", "a", "b")
    first = fifo.receive_one()
    assert fifo.receive() == []
    fifo.delete(first)
    assert fifo.receive_bodies() == ["b"]


def test_a_group_stays_locked_until_all_its_messages_in_flight_are_done(fifo: Queue) -> None:
    fifo.send_in_group("g", *"abcd")
    a, b, c = fifo.receive(3)
    fifo.delete(a)
    fifo.delete(c)
    assert fifo.receive() == []
    fifo.delete(b)
    assert fifo.receive_bodies() == ["d"]


def test_other_groups_are_free_meanwhile(fifo: Queue) -> None:
    fifo.send_in_group("one", "1a", "1b")
    fifo.send_in_group("two", "2a", "2b")
    assert fifo.receive_bodies(1) == ["1a"]
    assert fifo.receive_bodies(10) == ["2a", "2b"]
    assert fifo.receive() == []


def test_one_receive_may_span_groups(fifo: Queue) -> None:
    fifo.send_in_group("one", "1a", "1b")
    fifo.send_in_group("two", "2a", "2b")
    found = fifo.receive_bodies(10)
    assert sorted(found) == ["1a", "1b", "2a", "2b"]
    assert found.index("1a") < found.index("1b")
    assert found.index("2a") < found.index("2b")


def test_interleaved_groups_keep_their_own_order(fifo: Queue) -> None:
    for number in range(6):
        send(fifo, f"{number}", f"group-{number % 2}", f"{number}")
    found = fifo.receive_bodies(10)
    assert [body for body in found if int(body) % 2 == 0] == ["0", "2", "4"]
    assert [body for body in found if int(body) % 2 == 1] == ["1", "3", "5"]


def test_after_the_timeout_the_group_returns_in_order(fifo: Queue, clock: MessageClock) -> None:
    fifo.send_in_group("g", "a", "b", "c")
    assert fifo.receive_bodies(2) == ["a", "b"]
    clock.advance(30)
    assert fifo.receive_bodies(10) == ["a", "b", "c"]


def test_a_message_changed_to_zero_comes_back_first(fifo: Queue) -> None:
    fifo.send_in_group("g", "a", "b")
    fifo.change_visibility(fifo.receive_one(), 0)
    assert fifo.receive_bodies(10) == ["a", "b"]


def test_messages_behind_one_in_flight_stay_hidden_when_their_own_timeout_ends(
    fifo: Queue, clock: MessageClock
) -> None:
    fifo.send_in_group("g", "a", "b", "c")
    a, b = fifo.receive(2)
    fifo.change_visibility(b, 0)
    assert fifo.receive() == []
    fifo.change_visibility(a, 100)
    clock.advance(99)
    assert fifo.receive() == []
    clock.advance(1)
    assert fifo.receive_bodies(10) == ["a", "b", "c"]


def test_messages_behind_one_in_flight_are_free_when_it_is_deleted(fifo: Queue) -> None:
    fifo.send_in_group("g", "a", "b", "c")
    a, b = fifo.receive(2)
    fifo.change_visibility(b, 0)
    assert fifo.receive() == []
    fifo.delete(a)
    assert fifo.receive_bodies(10) == ["b", "c"]


def test_a_group_is_locked_even_if_its_first_message_is_visible_again(fifo: Queue) -> None:
    fifo.send_in_group("g", "a", "b", "c")
    a, b = fifo.receive(2)
    fifo.change_visibility(a, 0)
    assert fifo.receive() == []
    fifo.delete(b)
    assert fifo.receive_bodies(10) == ["a", "c"]


def test_a_locked_group_takes_new_messages(fifo: Queue) -> None:
    fifo.send_in_group("g", "a")
    first = fifo.receive_one()
    fifo.send_in_group("g", "b")
    assert fifo.receive() == []
    fifo.delete(first)
    assert fifo.receive_bodies() == ["b"]


def test_many_locked_groups_do_not_hide_a_free_one(fifo: Queue) -> None:
    for number in range(15):
        fifo.send_in_group(f"group-{number}", "a", "b")
    taken = 0
    while messages := fifo.receive(1):
        taken += len(messages)
    assert taken == 15
    fifo.send_in_group("free", "c")
    assert fifo.receive_bodies() == ["c"]


def test_the_group_is_required(fifo: Queue, sqs_json: JsonClient) -> None:
    with refused("MissingParameter", text="The request must contain the parameter MessageGroupId."):
        fifo.send("a", MessageDeduplicationId="a")
    payload = {"QueueUrl": fifo.url, "MessageBody": "a", "MessageDeduplicationId": "a"}
    answer = sqs_json.call("SendMessage", payload)
    assert answer.json["__type"] == "com.amazon.coral.service#MissingRequiredParameterException"


@pytest.mark.parametrize("group", ["a", "x" * 128, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "09AZaz"])
def test_a_group_has_1_to_128_letters_digits_and_punctuation(fifo: Queue, group: str) -> None:
    send(fifo, "a", group, "a")
    found = fifo.receive_one(MessageSystemAttributeNames=["MessageGroupId"])
    assert found["Attributes"] == {"MessageGroupId": group}


@pytest.mark.parametrize("group", ["x" * 129, "a b", "ä", "a\n"])
def test_any_other_group_is_refused(fifo: Queue, group: str) -> None:
    with refused("InvalidParameterValue"):
        send(fifo, "a", group, "a")
    assert fifo.counts() == (0, 0, 0)


def test_groups_are_case_sensitive(fifo: Queue) -> None:
    fifo.send_in_group("g", "a")
    fifo.send_in_group("G", "b")
    assert fifo.receive_bodies(1) + fifo.receive_bodies(1) == ["a", "b"]


def test_sequence_numbers_have_20_digits_and_grow(fifo: Queue) -> None:
    replies = [send(fifo, "x", f"group-{number % 3}", str(number)) for number in range(12)]
    found = [reply["SequenceNumber"] for reply in replies]
    assert all(re.fullmatch(r"\d{20}", value) for value in found)
    assert sorted(set(found)) == found


def test_a_received_message_has_the_sequence_number_that_its_sender_was_told(fifo: Queue, clock: MessageClock) -> None:
    told = [send(fifo, "x", "g", str(number))["SequenceNumber"] for number in range(3)]
    for _ in range(2):
        messages = fifo.receive(3, MessageSystemAttributeNames=["SequenceNumber"])
        assert [message["Attributes"]["SequenceNumber"] for message in messages] == told
        clock.advance(30)


def test_a_deduplication_id_is_no_parameter_of_a_standard_queue(queue: Queue) -> None:
    with refused("InvalidParameterValue"):
        queue.send(MessageDeduplicationId="a")
    assert queue.counts() == (0, 0, 0)
