"""Platform applications and their endpoints by name, and their records in the store.

An application holds its endpoints; deleting it deletes them at once, and their records follow in slices.
"""

from typing import Final

import msgspec
from sortedcontainers import SortedDict

from broker.services.runtime import Runtime
from broker.services.sns.errors import NotFound
from broker.services.sns.names import ApplicationName
from broker.services.sns.paging import page_after
from broker.store.base import Recovered

APPLICATION_KIND: Final = "sns-platform-application"
ENDPOINT_KIND: Final = "sns-platform-endpoint"
_SLICE: Final = 1_000  # records that one step of a deletion takes with it

_encoder = msgspec.json.Encoder()


class ApplicationRecord(msgspec.Struct):
    """What the store keeps of an application. `secrets`: digests of its credentials, which nobody is ever shown."""

    name: ApplicationName
    number: int  # endpoints belong to it: an application of the same name that was deleted had another
    attributes: dict[str, str]
    secrets: dict[str, str]


class EndpointRecord(msgspec.Struct):
    """What the store keeps of an endpoint."""

    id: str
    application: int
    attributes: dict[str, str]  # Enabled and Token among them


_application_decoder = msgspec.json.Decoder(ApplicationRecord)
_endpoint_decoder = msgspec.json.Decoder(EndpointRecord)


class Application:
    """A platform application in memory."""

    __slots__ = ("record", "arn", "endpoints", "by_token")

    def __init__(self, record: ApplicationRecord) -> None:
        self.record = record
        self.arn = record.name.arn
        self.endpoints: SortedDict[str, Endpoint] = SortedDict()  # by id
        self.by_token: dict[str, Endpoint] = {}

    @property
    def enabled(self) -> bool:
        return self.record.attributes["Enabled"] == "true"

    def endpoints_after(self, after: str, limit: int) -> "list[Endpoint]":
        """Up to `limit` of its endpoints, by id, with ids > `after`."""
        return page_after(self.endpoints, after, limit)


class Endpoint:
    """An endpoint in memory: one app on one device."""

    __slots__ = ("record", "application", "arn")

    def __init__(self, record: EndpointRecord, application: Application) -> None:
        self.record = record
        self.application = application
        self.arn = application.record.name.endpoint_arn(record.id)

    @property
    def enabled(self) -> bool:
        return self.record.attributes["Enabled"] == "true"

    @property
    def token(self) -> str:
        return self.record.attributes["Token"]

    @property
    def unreachable(self) -> str | None:
        """Why nothing is delivered to it; None: it is."""
        if not self.application.enabled:
            return "Platform application is disabled"
        return None if self.enabled else "Endpoint is disabled"


class Platforms:
    """See the module's text. Every method is one part of a synchronous engine call."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._by_name: dict[ApplicationName, Application] = {}
        self._arns: dict[tuple[str, str], SortedDict[str, Application]] = {}  # by account and region
        self._life = 0  # memory was dropped that often

    # The state as a part of the runtime

    def recover(self, recovered: Recovered) -> None:
        by_number: dict[int, Application] = {}
        orphans: list[str] = []
        for (kind, _), stored in recovered.resources.items():
            if kind == APPLICATION_KIND:
                application = Application(_application_decoder.decode(stored))
                by_number[application.record.number] = application
                self._enlist(application)
        for (kind, arn), stored in recovered.resources.items():
            if kind == ENDPOINT_KIND:
                record = _endpoint_decoder.decode(stored)
                owner = by_number.get(record.application)
                if owner is None:
                    orphans.append(arn)
                else:
                    self._attach(Endpoint(record, owner))
        self._sweep(orphans)

    def forget(self) -> None:
        self._life += 1
        self._by_name.clear()
        self._arns.clear()

    def reset(self) -> None:
        for application in list(self._by_name.values()):
            self.delete_application(application)

    # Applications

    def application(self, name: ApplicationName) -> Application | None:
        return self._by_name.get(name)

    def find_application(self, name: ApplicationName) -> Application:
        """Raises NotFound."""
        application = self._by_name.get(name)
        if application is None:
            raise NotFound("PlatformApplication does not exist")
        return application

    def create_application(
        self, name: ApplicationName, attributes: dict[str, str], secrets: dict[str, str]
    ) -> Application:
        """A new application; the caller has seen that there is none of this name."""
        assert name not in self._by_name
        ledger = self.runtime.ledger
        ledger.reserve(1)
        application = Application(ApplicationRecord(name, ledger.next_sequence(), attributes, secrets))
        self._enlist(application)
        self.record_application(application)
        return application

    def record_application(self, application: Application) -> None:
        """The application's record has changed."""
        self.runtime.ledger.batch.put_resource(APPLICATION_KIND, application.arn, _encoder.encode(application.record))

    def delete_application(self, application: Application) -> None:
        """Delete an application with its endpoints."""
        name = application.record.name
        del self._by_name[name]
        del self._arns[name.account, name.region][application.arn]
        self.runtime.ledger.batch.delete_resource(APPLICATION_KIND, application.arn)
        self._sweep([endpoint.arn for endpoint in application.endpoints.values()])

    def applications_after(self, account: str, region: str, after: str, limit: int) -> list[Application]:
        """Up to `limit` applications of an account in a region, by ARN, with ARNs > `after`."""
        return page_after(self._arns.get((account, region)), after, limit)

    # Endpoints

    def endpoint(self, name: ApplicationName, identifier: str) -> Endpoint | None:
        """The endpoint of that id, of the application of that name."""
        application = self._by_name.get(name)
        return None if application is None else application.endpoints.get(identifier)

    def find_endpoint(self, name: ApplicationName, identifier: str) -> Endpoint:
        """Raises NotFound."""
        endpoint = self.endpoint(name, identifier)
        if endpoint is None:
            raise NotFound("Endpoint does not exist")
        return endpoint

    def create_endpoint(self, application: Application, attributes: dict[str, str]) -> Endpoint:
        """A new endpoint, whose token no other of the application's has."""
        record = EndpointRecord(self.runtime.chance.uuid(), application.record.number, attributes)
        endpoint = Endpoint(record, application)
        self._attach(endpoint)
        self._record(endpoint)
        return endpoint

    def change_endpoint(self, endpoint: Endpoint, attributes: dict[str, str]) -> None:
        """Replace an endpoint's attributes. Its token is no other's."""
        del endpoint.application.by_token[endpoint.token]
        endpoint.record.attributes = attributes
        endpoint.application.by_token[endpoint.token] = endpoint
        self._record(endpoint)

    def delete_endpoint(self, endpoint: Endpoint) -> None:
        """Delete an endpoint. Its subscriptions remain, as on AWS: deliveries to them fail."""
        del endpoint.application.endpoints[endpoint.record.id]
        del endpoint.application.by_token[endpoint.token]
        self.runtime.ledger.batch.delete_resource(ENDPOINT_KIND, endpoint.arn)

    def _enlist(self, application: Application) -> None:
        name = application.record.name
        self._by_name[name] = application
        self._arns.setdefault((name.account, name.region), SortedDict())[application.arn] = application

    def _attach(self, endpoint: Endpoint) -> None:
        endpoint.application.endpoints[endpoint.record.id] = endpoint
        endpoint.application.by_token[endpoint.token] = endpoint

    def _record(self, endpoint: Endpoint) -> None:
        self.runtime.ledger.batch.put_resource(ENDPOINT_KIND, endpoint.arn, _encoder.encode(endpoint.record))

    def _sweep(self, arns: list[str]) -> None:
        """Delete the records of endpoints whose application is gone. Recovery goes on with what is left of them."""
        life = self._life

        def step() -> bool:
            if life != self._life:
                return False  # whether the application is gone was uncertain then: recovery has looked again
            for arn in arns[-_SLICE:]:
                self.runtime.ledger.batch.delete_resource(ENDPOINT_KIND, arn)
            del arns[-_SLICE:]
            return bool(arns)

        if arns:
            self.runtime.start_job(step)
