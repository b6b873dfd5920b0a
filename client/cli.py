"""The command line's part of the client: `pombo consume`, a queue's consumer as a process of the developer's own.

It owns options, exit codes and lines on the terminal; what a consumer does is `client.consumer`'s. What takes long to import is
imported when a queue is consumed, so that `pombo --help` lists the command at no cost. Exit codes: 0 stopped, 1 failed, 2 cannot
work as it was called, 128 and the signal's number after a second signal, or where a handler's thread did not end in time.
"""

import asyncio
import io
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import click

from client import loading, reloading

if TYPE_CHECKING:
    from client.client import Client

LOCAL: Final = "http://localhost:4566"
_STOP_WITHIN_S: Final = 30.0
_AGAIN_S: Final = 0.5  # while nothing answers at the endpoint


def _handler_name(context: click.Context, parameter: click.Parameter, value: str) -> loading.HandlerName:
    try:
        return loading.HandlerName.of(value)
    except loading.HandlerNotFound as error:
        _fail(str(error), 2)


def _endpoint(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    url = value or os.environ.get("AWS_ENDPOINT_URL_SQS") or os.environ.get("AWS_ENDPOINT_URL") or LOCAL
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        _fail(f"endpoint is {url!r}; expected http://HOST:PORT or https://HOST", 2)
    return url


@click.command()
@click.argument("queue")
@click.argument("handler", metavar="MODULE:HANDLER", callback=_handler_name)
@click.option(
    "--endpoint-url",
    metavar="URL",
    callback=_endpoint,
    help=f"AWS itself is used only if its URL is given. [default: AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL, {LOCAL}]",
)
@click.option("--region", help="[default: that of QUEUE's ARN, AWS_REGION, AWS_DEFAULT_REGION, us-east-1]")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=8,
    show_default=True,
    help="Handlers at once.",
)
@click.option(
    "--batch-size", type=click.IntRange(1, 10), default=10, show_default=True, help="Messages of one event at most."
)
@click.option("--messages", is_flag=True, help="Call HANDLER(message) for each message, not HANDLER(event, context).")
@click.option(
    "--report-batch-item-failures",
    is_flag=True,
    help="HANDLER returns which messages of an event have failed: {'batchItemFailures': [{'itemIdentifier': ID}]}.",
)
@click.option(
    "--visibility-timeout",
    type=click.IntRange(1, 43200),
    help="Seconds for which a message is hidden while HANDLER has it. [default: the queue's]",
)
@click.option(
    "--wait-time",
    type=click.IntRange(1, 20),
    default=20,
    show_default=True,
    help="Seconds for which a receive waits for a message.",
)
@click.option(reloading.FLAG, is_flag=True, help="Start again when a Python file below the current directory changes.")
def consume(queue: str, handler: loading.HandlerName, reload: bool, **options: Any) -> None:
    """Run HANDLER for the messages of QUEUE until SIGTERM or Ctrl-C.

    QUEUE is a name, an ARN or a URL; it is looked for at the endpoint, whatever host its URL has. MODULE is imported from the
    current directory. HANDLER is called as a function of AWS Lambda would be: a message is deleted when HANDLER has returned,
    and comes back when it has raised.
    """
    if options["messages"] and options["report_batch_item_failures"]:
        _fail("--report-batch-item-failures is given with --messages; expected one of them", 2)
    if reload:
        try:
            sys.exit(reloading.reload(reloading.own_command(), Path.cwd(), _STOP_WITHIN_S, _say))
        except reloading.CannotReload as error:
            _fail(str(error), 2)
    numbers = [signal.SIGTERM] if reloading.follow_parent() else [signal.SIGTERM, signal.SIGINT]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what HANDLER prints is seen when it is printed, in a pipe too
    call = _load(handler)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")  # unless MODULE did so
    asyncio.run(_consume(queue, handler, call, numbers, **options))


def _load(handler: loading.HandlerName) -> Callable[..., Any]:
    try:
        return handler.load(Path.cwd())
    except loading.HandlerNotFound as error:
        _fail(str(error), 2)
    except Exception as error:
        _say(f"handler is '{handler}'; importing {handler.module} failed:")
        traceback.print_exception(error.with_traceback(loading.below_the_import(error.__traceback__)))
        raise SystemExit(1) from None


async def _consume(
    queue: str,
    name: loading.HandlerName,
    handler: Callable[..., Any],
    numbers: list[signal.Signals],
    *,
    endpoint_url: str,
    region: str | None,
    concurrency: int,
    batch_size: int,
    messages: bool,
    report_batch_item_failures: bool,
    visibility_timeout: int | None,
    wait_time: int,
) -> None:
    from client.client import Client
    from client.consumer import Consumer
    from client.errors import CallFailed
    from client.stopping import Stop, leave

    if region is None and queue.startswith("arn:") and queue.count(":") == 5:
        region = queue.split(":")[3]
    async with Client(endpoint_url=endpoint_url, region=region) as client:
        consumer = Consumer(
            client,
            queue,
            handler,
            per_message=messages,
            batch_size=batch_size,
            concurrency=concurrency,
            report_batch_item_failures=report_batch_item_failures,
            visibility_timeout_s=visibility_timeout,
            wait_time_s=wait_time,
            stop_within_s=_STOP_WITHIN_S,
        )
        finding = asyncio.create_task(_find(client, queue))

        def stop_gracefully() -> None:
            finding.cancel()
            consumer.stop()

        stop = Stop(stop_gracefully, consumer.stop_now, _STOP_WITHIN_S)
        stop.listen(numbers)
        try:
            url = await finding
            click.echo(f"Consuming {url} with {name}; Ctrl-C stops.")
            await consumer.run()
        except CallFailed as error:
            _fail(f"cannot consume {queue} at {endpoint_url}: {error}", 1)
        except asyncio.CancelledError:
            pass  # stopped while it was looking for the queue
    if stop.cut_off:
        leave(128 + stop.cut_off)


async def _find(client: "Client", queue: str) -> str:
    """The queue's URL, as soon as its endpoint answers. Raises CallFailed."""
    from client.errors import ConnectionFailed

    said = False
    while True:
        try:
            url = await client.queue_url(queue)
            await client.queue_attributes(url, "QueueArn")  # whether what was given as a URL exists
            return url
        except ConnectionFailed as error:
            if not said:
                _say(f"waiting for the endpoint: {error}")
                said = True
            await client.clock.sleep(_AGAIN_S)


def _say(text: str) -> None:
    click.echo(f"pombo: {text}", err=True)


def _fail(text: str, code: int) -> NoReturn:
    _say(text)
    sys.exit(code)
