"""SQS's limits, and how much of a queue is kept in memory. Source of AWS's numbers: SQS Developer Guide, Quotas."""

from typing import Final

# AWS's
IN_FLIGHT_MAX: Final = 120_000  # per queue; standard: OverLimit, FIFO: nothing more is handed out
MESSAGE_BYTES_MAX: Final = 1_048_576
VISIBILITY_MS_MAX: Final = 43_200_000  # 12 hours, counted in total from the receive
DEDUPLICATION_MS: Final = 300_000
RECEIVE_ATTEMPT_MS: Final = 300_000
COOLDOWN_MS: Final = 60_000  # purge again; recreate a deleted queue
FAIR_SHARE: Final = 0.10  # a group with more of the messages in flight than this …
FAIR_IN_FLIGHT_MIN: Final = 30  # … and at least this many, is noisy
DEAD_LETTERS_PER_CALL: Final = 100

# Ours
FOREVER_MS: Final = 1_000 * 365 * 86_400_000  # the retention of what does not expire
PAGE_ROWS: Final = 1_000
PAGE_BYTES: Final = 2 * 1_048_576
WAITING_LOW: Final = 800  # fewer than this in memory, more in the store: the next page is asked for ahead of need
WAITING_MAX: Final = 4_000  # messages of a queue kept in memory while they wait; the rest stays in the store
WAITING_BYTES_MAX: Final = 4 * 1_048_576
GROUP_MAX: Final = 100  # of one message group, where many share the window
TIMED_MAX: Final = 4_000  # delayed or returned messages of a queue kept in memory; leases have IN_FLIGHT_MAX
MEMORY_BYTES_MAX: Final = 96 * 1_048_576  # of all queues together
SLICE_ROWS: Final = 500  # of bulk work between two foreground batches
