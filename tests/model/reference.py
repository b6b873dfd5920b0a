"""What a queue must do, in the plainest terms: a list of messages and AWS's rules. The engine is held against this."""

from dataclasses import dataclass, replace


@dataclass
class Kept:
    """A message as its users know it."""

    body: str
    group: str | None
    sent_ms: int
    visible_ms: int = 0
    receives: int = 0


class Reference:
    """One queue. `delay_ms`: a FIFO queue's own delay, which applies to whatever was never received."""

    def __init__(self, *, fifo: bool, retention_ms: int, delay_ms: int = 0) -> None:
        self.fifo = fifo
        self.retention_ms = retention_ms
        self.delay_ms = delay_ms
        self.messages: dict[str, Kept] = {}

    def copy(self) -> "Reference":
        twin = Reference(fifo=self.fifo, retention_ms=self.retention_ms, delay_ms=self.delay_ms)
        twin.messages = {body: replace(m) for body, m in self.messages.items()}
        return twin

    def expire(self, now_ms: int) -> None:
        self.messages = {b: m for b, m in self.messages.items() if m.sent_ms + self.retention_ms > now_ms}

    def delayed(self, m: Kept, now_ms: int) -> bool:
        if self.fifo:
            return m.receives == 0 and m.sent_ms + self.delay_ms > now_ms
        return m.receives == 0 and m.visible_ms > now_ms

    def in_flight(self, m: Kept, now_ms: int) -> bool:
        return m.receives > 0 and m.visible_ms > now_ms

    def counts(self, now_ms: int) -> tuple[int, int, int]:
        delayed = sum(self.delayed(m, now_ms) for m in self.messages.values())
        in_flight = sum(self.in_flight(m, now_ms) for m in self.messages.values())
        return len(self.messages) - delayed - in_flight, in_flight, delayed

    def locked(self, group: str | None, now_ms: int) -> bool:
        return any(m.group == group and self.in_flight(m, now_ms) for m in self.messages.values())

    def available(self, now_ms: int) -> list[str]:
        """What a receive may hand out; of a FIFO queue in the order within each group, up to the first delayed one."""
        found = []
        closed: set[str | None] = set()
        for body, m in self.messages.items():
            if self.fifo and (self.locked(m.group, now_ms) or self.delayed(m, now_ms)):
                closed.add(m.group)
            if not (self.delayed(m, now_ms) or self.in_flight(m, now_ms) or m.group in closed):
                found.append(body)
        return found

    def received(self, body: str, now_ms: int, visibility_ms: int) -> None:
        kept = self.messages[body]
        kept.receives += 1
        kept.visible_ms = now_ms + visibility_ms
