"""The yardstick: an aiohttp application that parses a SendMessage and answers it, and does nothing else."""

import asyncio
import json

import uvloop
from aiohttp import web

_REQUEST_ID = "5f4c0a52-5f0e-4b0b-9d53-3f0b6a7f0e0c"


async def send_message(request: web.Request) -> web.Response:
    """Parse, and answer with an answer's keys."""
    parameters = json.loads(await request.read())
    assert parameters["QueueUrl"]
    assert parameters["MessageBody"]
    answer = {"MD5OfMessageBody": "0" * 32, "MessageId": _REQUEST_ID}
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": _REQUEST_ID}
    return web.Response(body=json.dumps(answer).encode(), headers=headers)


async def serve() -> None:
    """Until killed."""
    application = web.Application()
    application.router.add_post("/", send_message)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"Bare aiohttp on http://{host}:{port}, nothing kept. Ready.", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
