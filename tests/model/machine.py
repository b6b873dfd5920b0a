"""The engine beside its reference: random operations, commits, late answers of the store, crashes; compared after each step."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broker.core import limits
from broker.core.absent import Absent, Yield
from broker.core.settings import Redrive
from tests.core.bench import Bench
from tests.model.reference import Kept, Reference

# So small that a handful of messages fills every window, group and page.
SMALL = {
    "PAGE_ROWS": 3,
    "WAITING_LOW": 2,
    "WAITING_MAX": 5,
    "GROUP_MAX": 2,
    "TIMED_MAX": 2,
    "SLICE_ROWS": 2,
}
RETENTION_MS = 60_000
GROUPS = ("a", "b", "c")


class QueueMachine(RuleBasedStateMachine):
    """Rules that hold for both kinds of queue; the subclasses say which."""

    fifo = False
    groups: tuple[str | None, ...] = (None,)

    @initialize(delay_s=st.sampled_from([0, 0, 5]))
    def begin(self, delay_s: int) -> None:
        self.bench = Bench()
        delay_ms = delay_s * 1000 if self.fifo else 0
        self.queue = self.bench.queue("q", fifo=self.fifo, retention_ms=RETENTION_MS, delay_ms=delay_ms)
        self.reference = Reference(fifo=self.fifo, retention_ms=RETENTION_MS, delay_ms=delay_ms)
        self.handles: dict[str, list[tuple[str, int]]] = {}  # body -> (handle, receive number)
        self.sent = 0
        self.sources = 0
        self.bench.on_commit = self.remember
        self.bench.commit()

    @property
    def now_ms(self) -> int:
        return self.bench.clock.now_ms()

    def remember(self) -> None:
        """Everything so far is on disk."""
        self.on_disk = self.reference.copy()

    @rule(data=st.data(), count=st.integers(1, 6))
    def send(self, data: st.DataObject, count: int) -> None:
        group = data.draw(st.sampled_from(self.groups))
        delay_s = 0 if self.fifo else data.draw(st.sampled_from([0, 0, 0, 3, 20]))
        for _ in range(count):
            self.sent += 1
            body = f"m{self.sent}"
            self.bench.send(self.queue, body, group=group, delay_ms=delay_s * 1000 or None)
            visible_ms = self.now_ms + delay_s * 1000 if delay_s else 0
            self.reference.messages[body] = Kept(body, group, self.now_ms, visible_ms)

    @rule(count=st.integers(1, 5), visibility_s=st.sampled_from([0, 2, 10, 30]))
    def receive(self, count: int, visibility_s: int) -> None:
        available = self.reference.available(self.now_ms)
        deliveries = self.bench.receive(self.queue, count, visibility_s * 1000)
        bodies = [d.body.decode() for d in deliveries]
        assert len(set(bodies)) == len(bodies) <= count
        assert set(bodies) <= set(available), "a message was handed out that may not be"
        assert bool(bodies) == bool(available), "a receive found nothing though there was something"
        if self.fifo:
            for group in self.groups:
                waiting = [b for b in available if self.reference.messages[b].group == group]
                got = [b for b in bodies if self.reference.messages[b].group == group]
                assert got == waiting[: len(got)], "a group's order was broken"
        for body, delivery in zip(bodies, deliveries, strict=True):
            self.reference.received(body, self.now_ms, visibility_s * 1000)
            assert delivery.receive_count == self.reference.messages[body].receives
            self.handles.setdefault(body, []).append((delivery.receipt_handle, delivery.receive_count))

    def draw_handle(self, data: st.DataObject, body: str) -> tuple[str, int]:
        """A handle of a message, more often than not its newest."""
        handles = self.handles[body]
        return data.draw(st.sampled_from(handles[-1:] * 2 + handles))

    def current(self, body: str, receive: int) -> bool:
        kept = self.reference.messages.get(body)
        return kept is not None and kept.receives == receive and self.reference.in_flight(kept, self.now_ms)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        body = data.draw(st.sampled_from(sorted(self.handles)))
        handle, receive = self.draw_handle(data, body)
        refused = self.fifo and body in self.reference.messages and not self.current(body, receive)
        try:
            self.bench.delete(self.queue, handle)
        except Exception as error:
            assert refused, error
        else:
            assert not refused, "an expired handle deleted a message of a FIFO queue"
            self.reference.messages.pop(body, None)

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), visibility_s=st.sampled_from([0, 0, 1, 15, 50]))
    def change_visibility(self, data: st.DataObject, visibility_s: int) -> None:
        body = data.draw(st.sampled_from(sorted(self.handles)))
        handle, receive = self.draw_handle(data, body)
        exists = body in self.reference.messages
        refused = not exists or (self.fifo and not self.current(body, receive))
        try:
            self.bench.call(self.bench.engine.change_visibility, self.queue, handle, visibility_s * 1000)
        except Exception as error:
            assert refused, error
        else:
            assert not refused
            self.reference.messages[body].visible_ms = self.now_ms + visibility_s * 1000

    @rule(seconds=st.sampled_from([1, 2, 5, 10, 30, 61]))
    def advance(self, seconds: int) -> None:
        self.bench.advance(seconds * 1000)
        self.reference.expire(self.now_ms)

    @rule()
    def commit(self) -> None:
        self.bench.commit()

    @rule(seen=st.integers(0, 2))
    def a_read_is_answered_late(self, seen: int) -> None:
        """The store answers what the next receive will ask for, from now; the answer arrives with that receive.

        `seen`: so many answers arrive at once, so that it is not always the first question that is answered late.
        """
        for asked in range(seen + 1):
            try:
                selection = self.queue.select(1, self.now_ms)
            except Absent as absent:
                for read in absent.reads:
                    if asked < seen:
                        self.bench.fetch(read)
                    elif read not in self.bench.snapshots:
                        self.bench.snapshot(read)
            except Yield:
                pass
            else:
                self.queue.put_back(selection)

    @rule()
    def prefetches_arrive(self) -> None:
        self.bench.settle_down()
        self.bench.commit()

    @rule(kind=st.sampled_from(["memory", "restart", "crash", "purge"]))
    def upset(self, kind: str) -> None:
        """What empties the windows. One rule for all, or they would seldom be full of anything."""
        if kind == "memory":
            self.queue.unload()
            self.bench.prefetched.clear()
            self.bench.snapshots.clear()
        elif kind == "purge":
            self.bench.engine.purge_queue(self.queue)
            self.reference.messages.clear()
        else:
            if kind == "restart":
                self.bench.commit()
            self.crash()

    def crash(self) -> None:
        """What is not on disk is gone; nobody was told of it."""
        self.bench.restart()
        self.queue = self.bench.find()
        self.reference = self.on_disk.copy()
        for body, handles in list(self.handles.items()):
            kept = self.reference.messages.get(body)
            self.handles[body] = [(h, n) for h, n in handles if kept is not None and n <= kept.receives]
            if not self.handles[body]:
                del self.handles[body]
        self.bench.advance(0)
        self.reference.expire(self.now_ms)

    @rule(data=st.data(), seconds=st.sampled_from([20, 30, 40]))
    def some_grow_old(self, data: st.DataObject, seconds: int) -> None:
        """Messages of one group, of two ages: at times the older ones expire alone."""
        self.send(data, 3)
        self.advance(seconds)
        self.send(data, 2)

    @invariant()
    def counts_add_up(self) -> None:
        if hasattr(self, "bench"):
            assert self.bench.counts(self.queue) == self.reference.counts(self.now_ms)


class StandardMachine(QueueMachine):
    """A standard queue without message groups."""


class FairMachine(QueueMachine):
    """A standard queue on which some messages have a group."""

    groups = (None, *GROUPS)


class FifoMachine(QueueMachine):
    """A FIFO queue."""

    fifo = True
    groups = (*GROUPS, "d", "e", "f")  # more than a window holds messages

    @rule(delay_s=st.sampled_from([0, 5, 20]))
    def the_delay_changes(self, delay_s: int) -> None:
        changed = replace(self.queue.settings, delay_ms=delay_s * 1000)
        self.bench.call(self.bench.engine.configure_queue, self.queue, changed, {})
        self.reference.delay_ms = changed.delay_ms
        self.bench.commit()  # a crash would bring the old one back

    @rule(data=st.data(), count=st.integers(1, 3))
    def dead_letters_arrive(self, data: st.DataObject, count: int) -> None:
        self.sources += 1
        source = self.bench.queue(f"source{self.sources}", fifo=True, redrive=Redrive(self.queue.name, 1))
        arriving: list[Kept] = []
        for _ in range(count):
            self.sent += 1
            arriving.append(Kept(f"m{self.sent}", data.draw(st.sampled_from(self.groups)), self.now_ms, receives=1))
            self.bench.send(source, arriving[-1].body, group=arriving[-1].group)
        received = 0
        while received < count:
            received += len(self.bench.receive(source, visibility_ms=0))
        assert not self.bench.receive(source)
        self.reference.messages |= {kept.body: kept for kept in arriving}
        self.bench.commit()


def shrink_windows() -> dict[str, int]:
    """Make every window small; answers the former sizes."""
    before = {name: getattr(limits, name) for name in SMALL}
    for name, value in SMALL.items():
        setattr(limits, name, value)
    return before


SETTINGS = settings(max_examples=60, stateful_step_count=50, deadline=None)
