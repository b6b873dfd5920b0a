"""The Runtime API, spoken to as a runtime speaks to it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from broker.services.lambda_.runtime.invocation import PAYLOAD_BYTES_MAX, Answer, Event, Failure
from broker.services.lambda_.runtime.runtime_api import RuntimeApi

EVENT = Event(
    b'{"a": "\xc3\xa9"}',
    "r-1",
    function_arn="arn:aws:lambda:eu-west-1:123456789012:function:greet:live",
    trace_id="Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1",
    client_context='{"custom":\n{}}',
    cognito_identity='{"cognitoIdentityId":"i"}',
)


class Runtime:
    """A runtime's side of the API, and what the broker's side was told."""

    def __init__(self) -> None:
        self.api = RuntimeApi(self)
        self.told: list[object] = []
        self.asked = asyncio.Event()
        self.url = ""
        self.session = aiohttp.ClientSession()

    def ready(self) -> None:
        self.told.append("ready")
        self.asked.set()

    def init_failed(self, failure: Failure) -> None:
        self.told.append(failure)

    def answered(self, answer: Answer) -> None:
        self.told.append(answer)

    async def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        async with self.session.get(f"{self.url}/2018-06-01/runtime/{path}") as reply:
            return reply.status, dict(reply.headers), await reply.read()

    async def post(self, path: str, body: object = b"{}", **headers: str) -> tuple[int, dict[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(f"{self.url}/2018-06-01/runtime/{path}", data=body, headers=named) as reply:
            return reply.status, json.loads(await reply.read())

    async def next(self, event: Event = EVENT) -> tuple[int, dict[str, str], bytes]:
        """Ask for an event, and be given one."""
        self.asked.clear()
        asking = asyncio.create_task(self.get("invocation/next"))
        await self.asked.wait()
        self.api.give(event, 1_542_409_706_888)
        return await asking


@pytest_asyncio.fixture
async def runtime() -> AsyncIterator[Runtime]:
    made = Runtime()
    made.url = f"http://{await made.api.start()}"
    yield made
    await made.session.close()
    await made.api.close()


async def test_an_event_comes_with_what_the_context_is_made_from(runtime: Runtime) -> None:
    status, headers, body = await runtime.next()
    assert (status, body) == (200, EVENT.payload)
    assert {name: value for name, value in headers.items() if name.startswith("Lambda-Runtime-")} == {
        "Lambda-Runtime-Aws-Request-Id": "r-1",
        "Lambda-Runtime-Deadline-Ms": "1542409706888",
        "Lambda-Runtime-Invoked-Function-Arn": EVENT.function_arn,
        "Lambda-Runtime-Trace-Id": EVENT.trace_id,
        "Lambda-Runtime-Client-Context": '{"custom": {}}',
        "Lambda-Runtime-Cognito-Identity": EVENT.cognito_identity,
    }
    assert headers["Content-Type"] == "application/json"


async def test_a_response_is_taken_and_the_next_event_follows(runtime: Runtime) -> None:
    await runtime.next()
    assert await runtime.post("invocation/r-1/response", b"[1]") == (202, {"status": "OK"})
    status, _, body = await runtime.next(Event(b"2", "r-2"))
    assert (status, body) == (200, b"2")
    assert runtime.told == ["ready", Answer(b"[1]", None, "application/octet-stream"), "ready"]


async def test_an_error_is_taken_with_its_type(runtime: Runtime) -> None:
    await runtime.next()
    body = b'{"errorMessage":"no","errorType":"Broken","stackTrace":[]}'
    status, _ = await runtime.post(
        "invocation/r-1/error", body, Lambda_Runtime_Function_Error_Type="Runtime.Odd", Content_Type="application/json"
    )
    assert status == 202
    assert runtime.told[-1] == Answer(body, "Runtime.Odd")


@pytest.mark.parametrize(
    ("body", "error_type"),
    [(b'{"errorType":"Broken"}', "Broken"), (b"nonsense", "Runtime.Unknown"), (b"[]", "Runtime.Unknown")],
)
async def test_an_error_without_the_header_has_the_type_of_its_body(
    runtime: Runtime, body: bytes, error_type: str
) -> None:
    await runtime.next()
    await runtime.post("invocation/r-1/error", body)
    assert runtime.told[-1] == Answer(body, error_type)


async def test_a_streamed_response_is_gathered(runtime: Runtime) -> None:
    await runtime.next()

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"part "

    status, _ = await runtime.post(
        "invocation/r-1/response",
        parts(),
        Lambda_Runtime_Function_Response_Mode="streaming",
        Content_Type="text/plain",
    )
    assert status == 202
    assert runtime.told[-1] == Answer(b"part " * 5, None, "text/plain")


async def test_six_megabytes_are_taken_and_a_byte_more_is_not(runtime: Runtime) -> None:
    await runtime.next()
    assert (await runtime.post("invocation/r-1/response", io.BytesIO(b"x" * PAYLOAD_BYTES_MAX)))[0] == 202
    await runtime.next(Event(b"2", "r-2"))
    status, problem = await runtime.post("invocation/r-2/response", io.BytesIO(b"x" * (PAYLOAD_BYTES_MAX + 1)))
    assert status == 413
    assert problem == {
        "errorMessage": "Exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "RequestEntityTooLarge",
    }
    answer = runtime.told[-1]
    assert isinstance(answer, Answer)
    assert answer.error_type == "Function.ResponseSizeTooLarge"
    assert json.loads(answer.payload)["errorMessage"] == (
        "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    )


@pytest.mark.parametrize("verb", ["response", "error"])
async def test_an_unknown_request_id_is_refused(runtime: Runtime, verb: str) -> None:
    await runtime.next()
    status, problem = await runtime.post(f"invocation/r-0/{verb}")
    assert (status, problem["errorType"]) == (400, "InvalidRequestID")


async def test_a_second_answer_is_refused(runtime: Runtime) -> None:
    await runtime.next()
    await runtime.post("invocation/r-1/response")
    status, problem = await runtime.post("invocation/r-1/error")
    assert (status, problem["errorType"]) == (403, "InvalidStateTransition")
    assert len(runtime.told) == 2


async def test_another_event_before_the_answer_is_refused(runtime: Runtime) -> None:
    await runtime.next()
    status, _, body = await runtime.get("invocation/next")
    assert status == 403
    assert json.loads(body)["errorType"] == "InvalidStateTransition"


async def test_an_initialisation_may_fail_once_and_only_at_the_beginning(runtime: Runtime) -> None:
    body = b'{"errorType":"Runtime.Bad"}'
    assert (await runtime.post("init/error", body))[0] == 202
    assert runtime.told == [Failure("Runtime.Bad", "", payload=body)]
    assert (await runtime.post("init/error", body))[0] == 403
    assert (await runtime.get("invocation/next"))[0] == 403


async def test_an_initialised_runtime_cannot_fail_to_be_initialised(runtime: Runtime) -> None:
    await runtime.next()
    assert (await runtime.post("init/error"))[0] == 403


async def test_the_newest_of_two_who_wait_gets_the_event(runtime: Runtime) -> None:
    first = asyncio.create_task(runtime.get("invocation/next"))
    await runtime.asked.wait()
    second = asyncio.create_task(runtime.get("invocation/next"))
    assert (await first)[0] == 403
    runtime.api.give(EVENT, 0)
    assert (await second)[2] == EVENT.payload


async def test_who_went_away_while_waiting_may_come_back(runtime: Runtime) -> None:
    first = asyncio.create_task(runtime.get("invocation/next"))
    await runtime.asked.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await runtime.get("")  # by now the server has noticed
    second = asyncio.create_task(runtime.get("invocation/next"))
    runtime.api.give(EVENT, 0)
    assert (await second)[2] == EVENT.payload


@pytest.mark.parametrize("path", ["", "invocation", "invocation/r-1/other", "invocation/a/b/response"])
async def test_other_paths_are_not_there(runtime: Runtime, path: str) -> None:
    assert (await runtime.get(path))[0] == 404
