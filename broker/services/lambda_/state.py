"""The functions of a broker by name, and their records in the store."""

from collections.abc import Iterator
from typing import Final

import msgspec
from sortedcontainers import SortedDict

from broker.core.engine import Engine
from broker.services.function_events import events_queue
from broker.services.lambda_.errors import PreconditionFailed, ResourceNotFound
from broker.services.lambda_.function import Alias, FunctionRecord, Settings, Version
from broker.services.lambda_.names import LATEST, FunctionName, Target
from broker.services.runtime import Runtime
from broker.store.base import Recovered

FUNCTION_KIND: Final = "lambda-function"
Place = tuple[str, str]  # account, region

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(FunctionRecord)


class Functions:
    """See the module's text. Every method is one part of a synchronous engine call."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.by_name: dict[FunctionName, FunctionRecord] = {}
        self._names: dict[Place, SortedDict[str, FunctionRecord]] = {}

    @property
    def engine(self) -> Engine:
        return self.runtime.engine

    def recover(self, recovered: Recovered) -> None:
        for (kind, _), stored in recovered.resources.items():
            if kind == FUNCTION_KIND:
                self._enlist(_decoder.decode(stored))

    def forget(self) -> None:
        self.by_name.clear()
        self._names.clear()

    def reset(self) -> None:
        for function in list(self.by_name.values()):
            self.delete(function)

    def find(self, name: FunctionName) -> FunctionRecord:
        """Raises ResourceNotFound."""
        function = self.by_name.get(name)
        if function is None:
            raise ResourceNotFound(f"Function not found: {name.arn}")
        return function

    def find_version(self, target: Target) -> tuple[FunctionRecord, Version]:
        """The version that a target names now; of an alias, its main one. Raises ResourceNotFound."""
        function = self.find(target.function)
        number = target.qualifier or LATEST
        alias = function.aliases.get(number)
        version = function.versions.get(alias.version if alias is not None else number)
        if version is None:
            raise ResourceNotFound(f"Function not found: {target.arn}")
        return function, version

    def find_alias(self, function: FunctionRecord, name: str) -> Alias:
        """Raises ResourceNotFound."""
        alias = function.aliases.get(name)
        if alias is None:
            raise ResourceNotFound(f"Cannot find alias arn: {function.name.arn}:{name}")
        return alias

    def create(self, name: FunctionName, settings: Settings, tags: dict[str, str]) -> FunctionRecord:
        """A new function; the caller has seen that there is none of this name. Its events have a queue from now on."""
        assert name not in self.by_name
        self.engine.internal_queue(events_queue(name.arn))
        function = FunctionRecord(name, {LATEST: self.version(LATEST, settings)}, {}, tags)
        self._enlist(function)
        self.record(function)
        return function

    def version(self, number: str, settings: Settings) -> Version:
        """A version as it is now, with a revision of its own."""
        ledger = self.engine.ledger
        return Version(number, settings, ledger.chance.uuid(), ledger.now_ms())

    def change(self, function: FunctionRecord, settings: Settings) -> Version:
        """New code or a new configuration of $LATEST."""
        event_invoke = function.latest.event_invoke
        function.versions[LATEST] = self.version(LATEST, settings)
        function.versions[LATEST].event_invoke = event_invoke
        self.record(function)
        return function.latest

    def record(self, function: FunctionRecord) -> None:
        """The function's record has changed."""
        self.engine.ledger.batch.put_resource(FUNCTION_KIND, function.name.arn, _encoder.encode(function))

    def delete(self, function: FunctionRecord) -> None:
        """Delete a function with its versions, aliases and waiting events."""
        name = function.name
        del self.by_name[name]
        del self._names[name.account, name.region][name.name]
        events = self.engine.find_internal_queue(events_queue(name.arn))
        if events is not None:
            self.engine.delete_queue(events)
        self.engine.ledger.batch.delete_resource(FUNCTION_KIND, name.arn)

    def after(self, place: Place, name: str, limit: int) -> list[FunctionRecord]:
        """Up to `limit` functions of an account in a region, by name, with names > `name`."""
        names = self._names.get(place)
        if names is None:
            return []
        start = names.bisect_right(name)
        return [names[key] for key in names.islice(start, start + limit)]

    def codes(self) -> Iterator[str]:
        """The code that versions are run with."""
        for function in self.by_name.values():
            for version in function.versions.values():
                yield version.settings.code

    def _enlist(self, function: FunctionRecord) -> None:
        name = function.name
        self.by_name[name] = function
        self._names.setdefault((name.account, name.region), SortedDict())[name.name] = function


def check_revision(given: str | None, current: str) -> None:
    """Raises PreconditionFailed where a caller has seen an older revision."""
    if given is not None and given != current:
        raise PreconditionFailed
