"""Who reaches /_pombo and /_aws: loopback names, addresses, the bound name, names that were allowed; never another site's page."""

import pytest

from broker.console.guard import Guard
from broker.console.replies import Refused
from broker.wire.http import HttpRequest


def request(host: str | None, origin: str | None = None) -> HttpRequest:
    headers = {name: value for name, value in (("host", host), ("origin", origin)) if value is not None}
    return HttpRequest("POST", "/_pombo/reset", "", headers, b"", f"http://{host}" if host else "http://127.0.0.1:4566")


@pytest.fixture
def guard() -> Guard:
    return Guard("broker.internal", ("pombo", "queues.example"))


@pytest.mark.parametrize(
    "host",
    [
        None,
        "localhost",
        "localhost:4566",
        "LOCALHOST:4566",
        "console.localhost:4566",
        "127.0.0.1:4566",
        "10.0.0.7",
        "[::1]:4566",
        "broker.internal:4566",
        "pombo:4566",
        "queues.example",
    ],
)
def test_ours(guard: Guard, host: str | None) -> None:
    guard.check(request(host))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "pombo.evil.example",
        "127.0.0.1.evil.example:4566",
        "[::1",
        "[zz]:4566",
        ":4566",
    ],
)
def test_foreign_and_garbled_hosts_are_refused_by_name(guard: Guard, host: str) -> None:
    with pytest.raises(Refused, match="expected a loopback name") as refused:
        guard.check(request(host))
    assert refused.value.status == 403
    assert repr(host) in refused.value.message


def test_a_page_of_ours_may_call(guard: Guard) -> None:
    guard.check(request("localhost:4566", "http://localhost:4566"))


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://localhost:4566", "http://localhost:8080", "http://localhost", ""]
)
def test_a_page_of_another_origin_may_not(guard: Guard, origin: str) -> None:
    with pytest.raises(Refused, match="Origin is") as refused:
        guard.check(request("localhost:4566", origin))
    assert refused.value.status == 403
