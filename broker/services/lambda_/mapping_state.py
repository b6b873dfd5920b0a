"""The event source mappings of a broker, their records in the store, and their pollers."""

from typing import Final

import msgspec

from broker.core.queue import Queue
from broker.services.lambda_.errors import ResourceNotFound
from broker.services.lambda_.mapping import MappingRecord, State
from broker.services.lambda_.poller import Poller
from broker.services.runtime import Runtime
from broker.store.base import Recovered

MAPPING_KIND: Final = "lambda-mapping"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(MappingRecord)


class Mappings:
    """See the module's text. Every method is one part of a synchronous engine call."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._pollers: dict[str, Poller] = {}  # by UUID
        runtime.engine.created.append(self._queue_created)

    def recover(self, recovered: Recovered) -> None:
        for (kind, _), stored in recovered.resources.items():
            if kind == MAPPING_KIND:
                self._employ(_decoder.decode(stored))

    def forget(self) -> None:
        for poller in self._pollers.values():
            poller.dismissed = True
        self._pollers.clear()

    def reset(self) -> None:
        for poller in list(self._pollers.values()):
            self.delete(poller.mapping)

    def find(self, uuid: str) -> MappingRecord:
        """Raises ResourceNotFound."""
        poller = self._pollers.get(uuid)
        if poller is None:
            raise ResourceNotFound("The resource you requested does not exist.")
        return poller.mapping

    def of_place(self, account: str, region: str) -> list[MappingRecord]:
        """An account's mappings in a region, by UUID."""
        found = [
            p.mapping for p in self._pollers.values() if (p.mapping.account, p.mapping.region) == (account, region)
        ]
        return sorted(found, key=lambda mapping: mapping.uuid)

    def state(self, mapping: MappingRecord) -> State:
        """What a mapping is once a change to it is done: that takes no time here."""
        return "Enabled" if mapping.enabled else "Disabled"

    def put(self, mapping: MappingRecord) -> None:
        """A new mapping, or a changed one."""
        self.runtime.ledger.batch.put_resource(MAPPING_KIND, mapping.uuid, _encoder.encode(mapping))
        poller = self._pollers.get(mapping.uuid)
        if poller is None:
            self._employ(mapping)
            return
        poller.stop()
        poller.mapping = mapping
        poller.go_on()

    def delete(self, mapping: MappingRecord) -> None:
        """End a mapping."""
        poller = self._pollers.pop(mapping.uuid)
        poller.dismissed = True
        poller.stop()
        self.runtime.ledger.batch.delete_resource(MAPPING_KIND, mapping.uuid)

    def _employ(self, mapping: MappingRecord) -> None:
        self._pollers[mapping.uuid] = poller = Poller(self.runtime, mapping)
        poller.go_on()

    def _queue_created(self, queue: Queue) -> None:
        """A mapping whose queue was deleted goes on when there is one of its name again."""
        for poller in self._pollers.values():
            if poller.mapping.queue == queue.name:
                poller.go_on()
