"""A broker whose mappings delete a batch of a standard queue before their function has it. The checker must notice.

Of a standard queue only: on a FIFO queue it would unlock the group, and break its order as well; this is for one fault.
"""

import sys

from broker.cli import main
from broker.core.message import Delivery
from broker.services.lambda_.poller import Poller

_invoke = Poller._invoke


async def _delete_first(poller: Poller, batch: list[Delivery]) -> set[str]:
    early = [] if poller.mapping.queue.name.endswith(".fifo") else batch
    for message in early:
        await poller.runtime.call(poller._delete, message)
    return await _invoke(poller, batch)


if __name__ == "__main__":
    Poller._invoke = _delete_first  # type: ignore[method-assign]
    main(sys.argv[1:])
