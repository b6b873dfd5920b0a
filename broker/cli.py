"""The command line: pombo serve, pombo backup, and the commands of other packages.

Those are entry points of the group `pombo.commands`: this package names none of them, and imports one only when it is asked for.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from broker import __version__, build, config, logs
from broker.config import Config
from broker.declared import ConfigError
from broker.errors import AwsError
from broker.store.backup import backup_directory
from broker.store.base import StoreError
from broker.store.directory import MEMORY

if TYPE_CHECKING:
    from broker.app import Broker


class Commands(click.Group):
    """Commands of our own, and entry points, which are looked up when no command of our own is meant."""

    ENTRY_POINTS: Final = "pombo.commands"

    def list_commands(self, ctx: click.Context) -> list[str]:
        from importlib.metadata import entry_points  # for those who ask what there is, and for others' commands

        return sorted({*super().list_commands(ctx), *entry_points(group=self.ENTRY_POINTS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        from importlib.metadata import entry_points

        for entry_point in entry_points(group=self.ENTRY_POINTS, name=cmd_name):
            loaded = entry_point.load()
            assert isinstance(loaded, click.Command), entry_point
            return loaded
        return None


@click.group(cls=Commands)
@click.version_option(build(), prog_name="pombo")
def main() -> None:
    """A durable message broker that speaks the wire APIs of AWS SNS and SQS."""


@main.command()
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", help="Port to listen on; 0: any free one. [default: 4566]")
@click.option("--data", help="Data directory, or :memory:. [default: ./pombo-data]")
@click.option("--config", "file", help="Configuration file. [default: pombo.toml, if there is one]")
@click.option("--synchronous", help="full: every reply is on disk; normal; off. [default: full]")
@click.option("--clock", help="system, or manual: moved by POST /_pombo/clock. [default: system]")
@click.option("--cooldowns", help="AWS's 60-second waits after DeleteQueue and PurgeQueue: on or off. [default: off]")
@click.option("--log-format", help="text or json. [default: text]")
@click.option("--allowed-hosts", help="Further host names under which /_pombo may be reached, separated by commas.")
@click.option("--smtp", help="HOST:PORT of a mail server for e-mail subscriptions. [default: e-mail is captured]")
@click.option(
    "--certificate-base", help="Scheme and host of SNS's SigningCertURL. [default: as the caller addressed us]"
)
def serve(file: str | None, **flags: Any) -> None:
    """Serve SQS and SNS until SIGTERM or Ctrl-C."""
    try:
        settings = config.load(flags, os.environ, file)
    except ConfigError as error:
        _fail(str(error))
    logs.set_up(settings.log_format)
    try:
        _run(settings)
    except (ConfigError, StoreError) as error:
        _fail(str(error))
    except AwsError as error:
        _fail(f"cannot start: {error.message}")
    except OSError as error:
        _fail(f"cannot serve on {settings.host}:{settings.port}: {error.strerror or error}")


@main.command(name="backup")
@click.argument("file")
@click.option("--data", help="Data directory to copy; a broker may be using it. [default: as serve's]")
@click.option("--config", "settings_file", help="Configuration file. [default: pombo.toml, if there is one]")
def back_up(file: str, data: str | None, settings_file: str | None) -> None:
    """Copy the database of a data directory to FILE, consistent as of one moment."""
    try:
        source = config.load({"data": data}, os.environ, settings_file).data
        if source == MEMORY:
            _fail(f"data is {MEMORY!r}; expected a directory, for what is in memory has no file to copy")
        backup_directory(source, file)
    except ConfigError as error:
        _fail(str(error))
    except StoreError as error:
        _fail(f"cannot back up: {error}")
    click.echo(f"{source} copied to {file} ({Path(file).stat().st_size} bytes).")


def _run(settings: Config) -> None:
    with contextlib.ExitStack() as stack:
        factory = None
        if sys.platform != "win32":
            import uvloop  # not everywhere

            factory = uvloop.new_event_loop
        runner = stack.enter_context(asyncio.Runner(loop_factory=factory))
        runner.run(_serve(settings))


async def _serve(settings: Config) -> None:
    gc.disable()  # what is imported stays; Broker.start enables it
    from broker.app import Broker  # most of what there is to import: other commands start without it

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    broker = Broker(settings)
    await broker.serve_until(stop, ready=lambda: click.echo(_ready_line(settings, broker)))


def _ready_line(settings: Config, broker: "Broker") -> str:
    durable = "in memory" if settings.data == MEMORY else f"{settings.data} (synchronous={settings.synchronous})"
    return f"Pombo {__version__} on {broker.url}, data: {durable}, started in {broker.started_in_s:.2f} s. Ready."


def _fail(text: str) -> NoReturn:
    click.echo(f"pombo: {text}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
