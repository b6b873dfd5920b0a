"""A broker whose mappings delete a batch before their function has it. The checker must notice."""

import sys

from broker.cli import main
from broker.core.message import Delivery
from broker.services.lambda_.poller import Poller

_invoke = Poller._invoke


async def _delete_first(poller: Poller, batch: list[Delivery]) -> set[str]:
    for message in batch:
        await poller.runtime.call(poller._delete, message)
    return await _invoke(poller, batch)


if __name__ == "__main__":
    Poller._invoke = _delete_first  # type: ignore[method-assign]
    main(sys.argv[1:])
