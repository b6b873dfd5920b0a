"""A call over the wire: what is tried again and what is not, and when it ends. The endpoint plays what goes wrong."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from client.clock import ManualClock
from client.errors import (
    AwsError,
    CallFailed,
    ConnectionFailed,
    InvalidParameterValue,
    QueueDoesNotExist,
    RequestThrottled,
)
from client.messages import Outgoing
from tests.client.endpoint import FOUND, Answer, Endpoint, answer, breaks_off, client_of, refusal, resets
from tests.client.test_readiness import free_port

T = TypeVar("T")
BUSY = answer(503, b"<html>Busy</html>")
BAD_GATEWAY = answer(502, b"")


async def after(clock: ManualClock, call: Awaitable[T], *waits_s: float) -> T:
    """What the call brings, having waited so long between its attempts."""
    async with asyncio.timeout(20):
        task = asyncio.ensure_future(call)
        for wait_s in waits_s:
            await clock.until_set(wait_s)
            await clock.advance(wait_s)
        return await task


@pytest.mark.parametrize(
    "failing",
    [
        answer(500),
        BUSY,
        BAD_GATEWAY,
        answer(429),
        refusal("ServiceUnavailable", 503),
        refusal("RequestThrottled"),
        refusal("ThrottlingException"),
        resets,
        breaks_off,
    ],
)
async def test_what_may_pass_is_tried_again(endpoint: Endpoint, failing: Answer) -> None:
    clock = ManualClock()
    endpoint.says(failing, failing, FOUND)
    async with client_of(endpoint, clock) as client:
        assert await after(clock, client.queue_url("q"), 0.1, 0.2) == "http://q/1/q"
    assert len(endpoint.arrived) == 3
    assert len({arrived.body for arrived in endpoint.arrived}) == 1


async def test_a_large_body_is_whole_in_each_attempt(endpoint: Endpoint) -> None:
    clock = ManualClock()
    endpoint.says(BUSY, answer(body=b'{"Successful":[],"Failed":[]}'))
    async with client_of(endpoint, clock) as client:
        await after(clock, client.send_batch("q", [Outgoing(body="x" * 200_000)] * 6), 0.1)
    first, second = endpoint.arrived
    assert first.body == second.body
    assert second.headers["content-length"] == str(len(second.body))
    assert second.headers["content-type"] == "application/x-amz-json-1.0"


async def test_the_wait_doubles_up_to_twenty_seconds(endpoint: Endpoint) -> None:
    clock = ManualClock()
    endpoint.says(BUSY)
    waits_s = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20.0, 20.0)
    async with client_of(endpoint, clock, attempts_max=11) as client:
        with pytest.raises(AwsError, match="Http503") as refused:
            await after(clock, client.queue_url("q"), *waits_s)
    assert refused.value.status == 503
    assert refused.value.transient
    assert len(endpoint.arrived) == 11
    assert clock.now_s() == pytest.approx(sum(waits_s))


async def test_the_last_attempts_failure_is_raised(endpoint: Endpoint) -> None:
    clock = ManualClock()
    endpoint.says(answer(500), refusal("RequestThrottled", 400, "slower"))
    async with client_of(endpoint, clock, attempts_max=2) as client:
        with pytest.raises(RequestThrottled, match="slower"):
            await after(clock, client.queue_url("q"), 0.1)


async def test_one_attempt_is_never_repeated(endpoint: Endpoint) -> None:
    endpoint.says(answer(500))
    async with client_of(endpoint, attempts_max=1) as client:
        with pytest.raises(AwsError):
            await after(client.clock, client.queue_url("q"))
    assert len(endpoint.arrived) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 413])
async def test_a_refusal_is_not_tried_again(endpoint: Endpoint, status: int) -> None:
    endpoint.says(refusal("InvalidParameterValue", status), FOUND)
    async with client_of(endpoint) as client:
        with pytest.raises(InvalidParameterValue) as refused:
            await client.queue_url("q")
    assert refused.value.status == status
    assert not refused.value.transient
    assert len(endpoint.arrived) == 1


async def test_an_answer_that_stays_away_is_a_connection_that_failed(endpoint: Endpoint) -> None:
    clock = ManualClock()
    endpoint.says(endpoint.holds)
    async with client_of(endpoint, clock, timeout_s=0.01, attempts_max=3) as client:
        with pytest.raises(ConnectionFailed, match=r"GetQueueUrl at http://127.*[Tt]imeout"):
            await after(clock, client.queue_url("q"), 0.1, 0.2)
    assert len(endpoint.arrived) == 3


async def test_a_long_poll_is_given_its_wait_beside_the_timeout(endpoint: Endpoint) -> None:
    endpoint.says(endpoint.holds)
    async with client_of(endpoint, timeout_s=0.01, attempts_max=1) as client:
        polls = [asyncio.create_task(client.receive("q", wait_time_s=wait_s)) for wait_s in (0, 20, None)]
        with pytest.raises(ConnectionFailed):
            await polls[0]
        assert not polls[1].done()
        assert not polls[2].done(), "the queue's own wait may be 20 s too"
        for poll in polls[1:]:
            poll.cancel()
        await asyncio.wait(polls)


async def test_where_nothing_listens_it_is_said_where() -> None:
    clock = ManualClock()
    port = free_port()
    async with client_of(f"http://127.0.0.1:{port}", clock, attempts_max=2) as client:
        with pytest.raises(ConnectionFailed, match=f"ListQueues at http://127.0.0.1:{port}/: .*[Cc]onnect") as failed:
            await after(clock, client.list_queues(), 0.1)
    assert isinstance(failed.value.__cause__, OSError)


async def test_a_name_that_is_not_found_in_time_is_a_connection_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()
    monkeypatch.setattr("client.calls._CONNECT_TIMEOUT_S", 0.01)
    monkeypatch.setattr("aiohttp.TCPConnector._resolve_host", lambda *_, **__: never.wait())
    async with client_of("http://pombo.invalid", attempts_max=1) as client:
        with pytest.raises(ConnectionFailed, match=r"pombo\.invalid"):
            await client.list_queues()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(endpoint: Endpoint, status: int) -> None:
    """A signature is for one host, and what is asked is for nobody else."""
    endpoint.says(answer(status, b"", Location="/elsewhere"), FOUND)
    async with client_of(endpoint) as client:
        with pytest.raises(AwsError) as refused:
            await client.queue_url("q")
    assert refused.value.code == f"Http{status}"
    assert len(endpoint.arrived) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"<html/>",
        b"[]",
        b"null",
        b"{}",
        b'{"QueueUrl":7}',
        b'{"QueueUrl":"\xff"}',
        b'{"QueueUrl":',
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_call_that_failed(endpoint: Endpoint, body: bytes) -> None:
    endpoint.says(answer(body=body))
    async with client_of(endpoint) as client:
        with pytest.raises(CallFailed, match="GetQueueUrl: the answer cannot be read"):
            await client.queue_url("q")
    assert len(endpoint.arrived) == 1


@pytest.mark.parametrize(
    "body", [b"{}", b"<CreateTopicResponse/>", b"<html/>", b"", b'<?xml version="1.0" encoding="x"?><a/>']
)
async def test_the_same_of_sns(endpoint: Endpoint, body: bytes) -> None:
    endpoint.says(answer(body=body))
    async with client_of(endpoint) as client:
        with pytest.raises(CallFailed, match="CreateTopic: the answer cannot be read"):
            await client.create_topic("t")


async def test_an_error_comes_with_all_that_is_said_of_it(endpoint: Endpoint) -> None:
    body = b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}'
    endpoint.says(answer(400, body, x_amzn_RequestId="request-1"))
    async with client_of(endpoint) as client:
        with pytest.raises(QueueDoesNotExist, match="QueueDoesNotExist: gone") as refused:
            await client.queue_url("q")
    error = refused.value
    assert (error.code, error.message, error.status, error.request_id) == (
        "QueueDoesNotExist",
        "gone",
        400,
        "request-1",
    )
    assert error.sender
    assert not error.throttled


async def test_calls_one_after_another_share_a_connection(endpoint: Endpoint) -> None:
    endpoint.says(FOUND)
    async with client_of(endpoint) as client:
        for _ in range(5):
            await client.queue_url("q")
    assert len(set(endpoint.connections)) == 1


async def test_a_refusal_leaves_the_connection_open(endpoint: Endpoint) -> None:
    endpoint.says(refusal("QueueDoesNotExist"), FOUND)
    async with client_of(endpoint) as client:
        with pytest.raises(QueueDoesNotExist):
            await client.queue_url("q")
        await client.queue_url("q")
    assert len(set(endpoint.connections)) == 1


async def test_a_call_does_not_wait_for_a_long_poll(endpoint: Endpoint) -> None:
    endpoint.says(*[endpoint.holds] * 30, FOUND)
    async with client_of(endpoint) as client:
        polls = [asyncio.create_task(client.receive("q", wait_time_s=20)) for _ in range(30)]
        async with asyncio.timeout(20):
            for _ in polls:
                await endpoint.held.acquire()
            assert await client.queue_url("q")
        for poll in polls:
            poll.cancel()
        await asyncio.wait(polls)


async def test_a_closed_client_makes_no_calls(endpoint: Endpoint) -> None:
    endpoint.says(FOUND)
    client = client_of(endpoint)
    await client.queue_url("q")
    await client.close()
    await client.close()
    with pytest.raises(CallFailed, match="closed"):
        await client.queue_url("q")
    assert len(endpoint.arrived) == 1


async def test_a_client_that_made_no_call_is_closed_too() -> None:
    await client_of("http://127.0.0.1:1").close()


async def test_close_ends_the_calls_under_way(endpoint: Endpoint) -> None:
    endpoint.says(endpoint.holds)
    client = client_of(endpoint)
    poll = asyncio.create_task(client.receive("q", wait_time_s=20))
    await endpoint.held.acquire()
    await client.close()
    with pytest.raises(CallFailed, match="closed"):
        await after(client.clock, poll)
    assert len(endpoint.arrived) == 1


async def test_close_ends_a_call_that_waits_for_its_next_attempt(endpoint: Endpoint) -> None:
    clock = ManualClock()
    endpoint.says(BUSY)
    client = client_of(endpoint, clock)
    call = asyncio.create_task(client.queue_url("q"))
    await clock.until_set(0.1)
    await client.close()
    with pytest.raises(CallFailed, match="closed"):
        await after(clock, call, 0.1)


async def test_a_cancelled_call_is_not_tried_again(endpoint: Endpoint) -> None:
    clock = ManualClock()
    endpoint.says(endpoint.holds)
    async with client_of(endpoint, clock) as client:
        call = asyncio.create_task(client.queue_url("q"))
        await endpoint.held.acquire()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await clock.advance(60)
    assert len(endpoint.arrived) == 1


async def test_no_answer_is_compressed_and_no_cookie_is_sent(endpoint: Endpoint) -> None:
    endpoint.says(answer(body=b'{"QueueUrl":"u"}', Set_Cookie="a=b"))
    named = endpoint.url.replace("127.0.0.1", "localhost")  # no cookies are kept for an address
    async with client_of(named) as client:
        for _ in range(2):
            await client.queue_url("q")
    headers = endpoint.arrived[-1].headers
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith("pombo")
    assert "cookie" not in headers
