"""The ring of log lines."""

from broker.services.lambda_.runtime.logs import LogRing


def test_lines_are_read_in_order_and_from_where_one_left_off() -> None:
    ring = LogRing()
    for number in range(5):
        ring.append(number, f"r-{number % 2}", "s", f"line {number}")
    assert [event.line for event in ring.read()] == [f"line {number}" for number in range(5)]
    assert [event.number for event in ring.read(after=3)] == [4, 5]
    assert [event.line for event in ring.read(request_id="r-1")] == ["line 1", "line 3"]
    assert [event.line for event in ring.read(limit=2)] == ["line 3", "line 4"]


def test_the_oldest_leave_when_there_are_too_many_or_too_much() -> None:
    ring = LogRing(events_max=3)
    for number in range(10):
        ring.append(0, "", "s", str(number))
    assert [event.line for event in ring.read()] == ["7", "8", "9"]
    assert ring.read(after=2)[0].number == 8
    small = LogRing(bytes_max=1_000)
    for _ in range(10):
        small.append(0, "", "s", "x" * 300)
    assert len(small) == 2
    small.append(0, "", "s", "x" * 5_000)
    assert len(small) == 1
