"""A service of the tests' own, with every kind of member that AWS's shapes have, behind a router and no broker."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from broker.clock import Chance
from broker.core.errors import InvalidParameterValue, MissingParameter, QueueDoesNotExist
from broker.errors import AwsError
from broker.services.context import Call
from broker.services.operation import LARGE, QueryName, Service
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.router import Router

NAMESPACE = "http://pigeons.example/doc/2026-11-24/"
REQUEST_ID = "00000000-0000-4000-8000-00009e3779b1"  # what a new source makes of zeros


def not_of_its_type(name: str, text: str, expected: str) -> AwsError:
    return InvalidParameterValue(f"Value {text} for parameter {name} is invalid. Reason: Must be {expected}.")


LOFT = Service(
    "pigeons", "Loft", "2026-11-24", NAMESPACE, missing=MissingParameter, invalid=not_of_its_type, fault_detail=True
)


class Ring(msgspec.Struct, rename="pascal", kw_only=True):
    country: Annotated[str, LARGE]
    year: int | None = None
    chip: bytes | None = None


class ReleaseRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    name: str
    count: int | None = None
    fast: bool | None = None
    rings: Annotated[list[Ring], QueryName("RingEntry")] | None = None
    routes: Annotated[list[str], QueryName("Route")] | None = None
    labels: Annotated[dict[str, str], QueryName("Label", "Key", "Value")] | None = None
    marks: Annotated[dict[str, Ring], QueryName("Mark", "Name", "Value")] | None = None
    friends: list[str] | None = None


class ReleaseResult(msgspec.Struct, rename="pascal", kw_only=True):
    name: str
    count: int | msgspec.UnsetType = msgspec.UNSET
    chip: bytes | msgspec.UnsetType = msgspec.UNSET
    rings: Annotated[list[Ring], QueryName("RingEntry")] | msgspec.UnsetType = msgspec.UNSET
    labels: Annotated[dict[str, str], QueryName("Label", "Key", "Value")] | msgspec.UnsetType = msgspec.UNSET
    friends: list[str] | msgspec.UnsetType = msgspec.UNSET


class Seen:
    """What the handlers were given."""

    request: Any = None
    call: Call


seen = Seen()


@LOFT.operation("Release", ReleaseRequest, ReleaseResult)
async def release(call: Call, request: ReleaseRequest) -> ReleaseResult:
    seen.request, seen.call = request, call
    if request.name == "lost":
        raise QueueDoesNotExist
    if request.name == "odd":
        raise InvalidParameterValue("Value <&\x01> for parameter Name is invalid.")
    if request.name == "bug":
        raise ZeroDivisionError
    return ReleaseResult(
        name=request.name,
        count=msgspec.UNSET if request.count is None else request.count,
        rings=request.rings or msgspec.UNSET,
        labels=request.labels or msgspec.UNSET,
        friends=request.friends or msgspec.UNSET,
    )


class RestRequest(msgspec.Struct, rename="pascal"):
    pass


@LOFT.operation("Rest", RestRequest, at_queue=False)
async def rest(call: Call, request: RestRequest) -> None:
    seen.request, seen.call = request, call


class _Runtime:
    """Nothing is ever pending, and every request has the same id."""

    @property
    def chance(self) -> Chance:
        return Chance(bytes)

    durable: Callable[[], "asyncio.Future[None] | None"] = staticmethod(lambda: None)
    park: Callable[[Any], bool] = staticmethod(lambda _callback: False)


runtime = _Runtime()
router = Router([LOFT], runtime)  # type: ignore[arg-type]


def ask(request: HttpRequest) -> HttpResponse:
    return asyncio.run(router.handle(request))


def ask_json(body: bytes, target: str = "Loft.Release", path: str = "/", **headers: str) -> HttpResponse:
    return ask(HttpRequest("POST", path, "", {"x-amz-target": target, **headers}, body, "http://localhost:4566"))


def ask_query(form: str, path: str = "/", query_string: str = "", method: str = "POST") -> HttpResponse:
    return ask(HttpRequest(method, path, query_string, {}, form.encode(), "http://localhost:4566"))
