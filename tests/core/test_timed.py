"""The timed window: whatever was done to it, it finds what is visible, first things first."""

from hypothesis import given
from hypothesis import strategies as st

from broker.core.message import Message
from broker.core.timed import Timed

MOMENTS = st.integers(0, 20)


@given(st.lists(st.tuples(st.sampled_from(["place", "take out", "page", "look ahead"]), MOMENTS, MOMENTS), max_size=40))
def test_what_is_visible_is_found_in_its_order(steps: list[tuple[str, int, int]]) -> None:
    timed = Timed(done=True)
    placed: dict[int, Message] = {}
    for number, (what, at_ms, now_ms) in enumerate(steps, 1):
        message = Message(number, number, 0, None, 0)
        message.visible_at_ms = at_ms
        if what == "place":
            assert timed.place(message, 1_000)
            placed[number] = message
        elif what == "page":
            timed.extend([message], None)
            placed[number] = message
        elif what == "take out" and placed:
            gone = placed.pop(sorted(placed)[at_ms % len(placed)])
            assert timed.take_out(gone)
        elif what == "look ahead":
            later = [m.visible_at_ms for m in placed.values() if m.visible_at_ms > at_ms]
            assert timed.next_after(at_ms) == min(later, default=None)
        expected = sorted((m.visible_at_ms, m.id) for m in placed.values() if m.visible_at_ms <= now_ms)
        assert timed.is_due(now_ms) or not expected
        assert [(m.visible_at_ms, m.id) for m in timed.visible(now_ms)] == expected
        first = timed.first_visible(now_ms)
        assert (None if first is None else first.id) == (expected[0][1] if expected else None)
