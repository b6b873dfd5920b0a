"""Where a call goes: the endpoint, the region that is signed for, the proxy; given, in the environment, or AWS's own."""

import asyncio
from pathlib import Path

import pytest

from client.client import Client
from client.errors import ConnectionFailed
from tests.client.endpoint import FOUND, Endpoint, client_of
from tests.client.test_readiness import free_port


def variables(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


async def test_the_endpoint_is_read_from_the_environment(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.says(FOUND)
    variables(monkeypatch, AWS_ENDPOINT_URL=endpoint.url)
    async with Client() as client:
        assert await client.queue_url("q")


async def test_a_services_own_endpoint_comes_before_that_of_all(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.says(FOUND)
    variables(monkeypatch, AWS_ENDPOINT_URL_SQS=endpoint.url, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    async with Client(attempts_max=1) as client:
        assert await client.queue_url("q")
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1"):
            await client.create_topic("t")


async def test_a_given_endpoint_comes_before_the_environments(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.says(FOUND)
    variables(monkeypatch, AWS_ENDPOINT_URL_SQS="http://127.0.0.1:1", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    async with client_of(endpoint) as client:
        assert await client.queue_url("q")


@pytest.mark.parametrize("path", ["", "/", "/a/b", "/a/b/"])
async def test_an_endpoint_may_have_a_path(endpoint: Endpoint, path: str) -> None:
    endpoint.says(FOUND)
    async with client_of(endpoint.url + path) as client:
        await client.queue_url("q")
    assert endpoint.arrived[0].request.path == path.rstrip("/") + "/"


@pytest.mark.parametrize(
    "url", ["localhost:4100", "127.0.0.1:4100", "pombo", "ftp://localhost/", "http://", "http://u:p@localhost/"]
)
def test_an_endpoint_that_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        Client(endpoint_url=url)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://sns.us-gov-east-1.amazonaws.com/", "us-gov-east-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("https://sqs.ap-southeast-2.api.aws", "ap-southeast-2"),
        ("https://eu-west-2.queue.amazonaws.com", "eu-west-2"),
        ("https://vpce-0a1b-9z.sqs.eu-west-3.vpce.amazonaws.com", "eu-west-3"),
        ("https://queue.amazonaws.com", "us-east-1"),
        ("http://sqs.eu-west-1.localhost:4100", "us-east-1"),
        ("http://127.0.0.1:4100", "us-east-1"),
        (None, "us-east-1"),
    ],
)
def test_the_region_is_in_the_name_of_an_aws_endpoint(url: str | None, region: str) -> None:
    assert Client(endpoint_url=url).region == region


def test_the_region_of_an_endpoint_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    variables(monkeypatch, AWS_ENDPOINT_URL="https://sqs.eu-west-1.amazonaws.com")
    assert Client().region == "eu-west-1"


def test_the_region_is_given_or_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    variables(monkeypatch, AWS_DEFAULT_REGION="eu-west-2")
    assert Client(endpoint_url="http://127.0.0.1:1").region == "eu-west-2"
    variables(monkeypatch, AWS_REGION="eu-west-3")
    assert Client(endpoint_url="http://127.0.0.1:1").region == "eu-west-3"
    assert Client(endpoint_url="http://127.0.0.1:1", region="eu-west-1").region == "eu-west-1"


def through(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS goes through this proxy."""
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", proxy)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-west-1", "https://sns.eu-west-1.amazonaws.com/"),
        ("cn-north-1", "https://sns.cn-north-1.amazonaws.com.cn/"),
    ],
)
async def test_without_an_endpoint_it_is_aws_through_the_proxy_of_the_environment(
    region: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    through(proxy, monkeypatch)
    async with Client(region=region, access_key="AKID", secret_key="secret", attempts_max=1) as client:
        with pytest.raises(ConnectionFailed, match=f"CreateTopic at {url}: .*127.0.0.1"):
            await client.create_topic("t")


async def test_a_proxy_is_asked_for_the_way_to_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuses, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        through(f"http://user:word@127.0.0.1:{port}", monkeypatch)
        async with Client(region="eu-west-1", access_key="AKID", secret_key="secret", attempts_max=1) as client:
            with pytest.raises(ConnectionFailed, match="407"):
                await client.list_queues()
    (request,) = asked
    assert request.startswith("CONNECT sqs.eu-west-1.amazonaws.com:443 ")
    assert "Proxy-Authorization: Basic dXNlcjp3b3Jk" in request


async def test_what_is_not_aws_is_called_without_a_proxy(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.says(FOUND)
    through("http://127.0.0.1:1", monkeypatch)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with client_of(endpoint) as client:
        assert await client.queue_url("q")


async def test_a_netrc_file_does_not_take_the_signatures_place(
    endpoint: Endpoint, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "netrc").write_text("default login someone password word\n")
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    endpoint.says(FOUND)
    async with client_of(endpoint) as client:
        await client.queue_url("q")
    assert endpoint.arrived[0].headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    through(f"http://127.0.0.1:{free_port()}", monkeypatch)
    async with Client(region="eu-west-1", access_key="AKID", secret_key="secret", attempts_max=1) as client:
        with pytest.raises(ConnectionFailed):
            await client.queue_url("q")
