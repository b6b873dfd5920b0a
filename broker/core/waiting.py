"""Long polls: receives that wait for a message, in the order in which they came."""

from collections.abc import Callable, Sequence

from broker.core.deadlines import Deadline
from broker.core.message import Delivery


class Waiter:
    """One waiting receive.

    `until_ms`: when its time is up; None: never. `connected`: whether its caller is still there; one that is not gets no message.
    `resume` is called once: with what was received (empty: the time is up), or with None when the receive must be made again by
    its caller, because rows are absent.
    """

    __slots__ = ("count", "visibility_ms", "attempt_id", "until_ms", "connected", "resume", "deadline")

    def __init__(
        self,
        count: int,
        visibility_ms: int,
        attempt_id: str | None,
        until_ms: int | None,
        connected: Callable[[], bool],
        resume: Callable[[Sequence[Delivery] | None], None],
    ) -> None:
        self.count = count
        self.visibility_ms = visibility_ms
        self.attempt_id = attempt_id
        self.until_ms = until_ms
        self.connected = connected
        self.resume = resume
        self.deadline: Deadline | None = None  # when its time is up
