"""When a reply may leave: "acknowledged means on disk", seen from the wire."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from broker.clock import Chance
from broker.core.errors import MissingParameter
from broker.errors import ServiceUnavailable
from broker.services.context import Call
from broker.services.operation import Service
from broker.wire import router as router_module
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.router import Router
from tests.wire.pigeons import LOFT, REQUEST_ID, not_of_its_type


class PendingRuntime:
    """Something is always pending; the test says when it is on disk."""

    def __init__(self) -> None:
        self.futures: list[asyncio.Future[None]] = []

    @property
    def chance(self) -> Chance:
        return Chance(bytes)

    def durable(self) -> "asyncio.Future[None] | None":
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]

    def park(self, callback: Callable[[BaseException | None], None]) -> bool:
        future = self.durable()
        if future is None:
            return False
        future.add_done_callback(lambda future: callback(future.exception()))
        return True


def json_request(body: bytes, target: str = "Loft.Release") -> HttpRequest:
    return HttpRequest("POST", "/", "", {"x-amz-target": target}, body, "http://localhost:4566")


def query_request(**form: str) -> HttpRequest:
    body = urlencode({"Action": "Release", **form}).encode()
    return HttpRequest("POST", "/", "", {}, body, "http://localhost:4566")


@pytest.fixture
def runtime() -> PendingRuntime:
    return PendingRuntime()


@pytest.fixture
def handle(runtime: PendingRuntime) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    return Router([LOFT], runtime).handle  # type: ignore[arg-type]


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "request_",
    [
        json_request(b'{"Name":"Ada"}'),
        json_request(b'{"Name":"lost"}'),
        query_request(Name="Ada"),
        query_request(Name="lost"),
    ],
    ids=["json", "json error", "query", "query error"],
)
async def test_what_was_computed_from_state_waits_for_the_commit(
    runtime: PendingRuntime, handle: Callable[[HttpRequest], Any], request_: HttpRequest
) -> None:
    reply = asyncio.ensure_future(handle(request_))
    await turns()
    assert len(runtime.futures) == 1
    assert not reply.done()
    runtime.futures[0].set_result(None)
    await turns()
    assert reply.done()


@pytest.mark.parametrize(
    "request_",
    [
        json_request(b"{}"),
        json_request(b"{"),
        json_request(b"{}", "Loft.Roost"),
        query_request(),
        query_request(Action="Roost"),
        query_request(Name="a", Count="x"),
    ],
    ids=["missing", "malformed", "unknown target", "missing in a form", "unknown action", "not a number"],
)
async def test_what_was_refused_before_state_was_read_does_not_wait(
    runtime: PendingRuntime, handle: Callable[[HttpRequest], Any], request_: HttpRequest
) -> None:
    assert (await handle(request_)).status == 400
    assert not runtime.futures


@pytest.mark.parametrize("name", ["Ada", "lost"])
async def test_a_failed_commit_answers_503(
    runtime: PendingRuntime, handle: Callable[[HttpRequest], Any], name: str
) -> None:
    replies = [
        asyncio.ensure_future(handle(json_request(b'{"Name":"%s"}' % name.encode()))),
        asyncio.ensure_future(handle(query_request(Name=name))),
    ]
    await turns()
    for future in runtime.futures:
        future.set_exception(ServiceUnavailable("The disk is full."))
    by_json, by_query = [await reply for reply in replies]
    assert by_json.status == by_query.status == 503
    assert by_json.headers["x-amzn-query-error"] == "ServiceUnavailable;Receiver"
    assert b"<Type>Receiver</Type><Code>ServiceUnavailable</Code>" in by_query.body


async def test_every_refusal_is_logged_with_its_request_id(
    handle: Callable[[HttpRequest], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pombo.wire"):
        await handle(json_request(b"{}"))
        await handle(query_request(Action="Roost"))
    assert [(r.request_id, r.error) for r in caplog.records] == [  # type: ignore[attr-defined]
        (REQUEST_ID, "MissingRequiredParameterException"),
        (REQUEST_ID, "InvalidAction"),
    ]


# Without a Version, an action that two services have belongs to the one that the request was signed for.


class _Name(msgspec.Struct, rename="pascal"):
    name: str = ""


def _service(name: str) -> Service:
    service = Service(
        name, "", f"version of {name}", f"http://{name}.example/", missing=MissingParameter, invalid=not_of_its_type
    )

    @service.operation("Release", _Name, _Name)
    async def release(call: Call, request: _Name) -> _Name:
        return _Name(name)

    return service


@pytest.mark.parametrize(
    ("version", "signed_for", "served_by"),
    [("", "", "geese"), ("", "swans", "swans"), ("", "ducks", "geese"), ("version of swans", "geese", "swans")],
)
async def test_the_service_is_told_by_the_version_or_the_signature(
    runtime: PendingRuntime, version: str, signed_for: str, served_by: str
) -> None:
    runtime.durable = lambda: None  # type: ignore[method-assign, assignment, return-value]
    router = Router([_service("geese"), _service("swans")], runtime)  # type: ignore[arg-type]
    body = query_request(**({"Version": version} if version else {})).body
    headers = {"authorization": f"AWS4-HMAC-SHA256 Credential=a/20261124/eu-west-1/{signed_for}/aws4_request"}
    request = HttpRequest("POST", "/", "", headers, body, "http://localhost:4566")
    assert f"<Name>{served_by}</Name>".encode() in (await router.handle(request)).body


@pytest.mark.interpreted
async def test_a_large_form_is_read_beside_the_loop(
    runtime: PendingRuntime, handle: Callable[[HttpRequest], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def parse(raw: bytes) -> dict[str, str]:
        threads.append(threading.current_thread())
        return parse_form(raw)

    parse_form = router_module.parse_form
    monkeypatch.setattr(router_module, "parse_form", parse)
    runtime.durable = lambda: None  # type: ignore[method-assign, assignment, return-value]
    assert (await handle(query_request(Name="a" * 100))).status == 200
    assert (await handle(query_request(Name="a" * 100_000))).status == 200
    assert [thread is threading.main_thread() for thread in threads] == [True, False]
