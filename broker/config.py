"""The settings of a broker: flags over POMBO_* environment variables over pombo.toml over defaults, in one frozen value.

A bad setting is refused with its name, its value, and what was expected. What pombo.toml declares is read by declared.py;
declarations.py has it created.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from broker.declared import (
    ConfigError,
    FunctionDeclaration,
    QueueDeclaration,
    TopicDeclaration,
    read_functions,
    read_queues,
    read_topics,
)

ENVIRONMENT_PREFIX: Final = "POMBO_"
DEFAULT_FILE: Final = "pombo.toml"

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "synchronous": ("full", "normal", "off"),
    "clock": ("system", "manual"),
    "log_format": ("text", "json"),
}
_TABLES: Final = {
    "smtp": ("email", "smtp"),
    "certificate_base": ("sns", "certificate_base"),
}  # settings with a table of their own
_MAIL_SERVER: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]+\]):\d{1,5}")
_BASE: Final = re.compile(r"https?://[A-Za-z0-9.-]{1,255}(?::\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Config:
    """See docs in README, "Settings"."""

    host: str = "127.0.0.1"
    port: int = 4566  # 0: any free one
    data: str = "./pombo-data"  # a directory, or ":memory:"
    synchronous: str = "full"
    clock: str = "system"
    cooldowns: bool = False
    log_format: str = "text"
    allowed_hosts: tuple[str, ...] = ()  # names besides loopback ones under which /_pombo may be reached
    smtp: str = ""  # host:port of a mail server; "": e-mail is captured
    certificate_base: str = ""  # scheme://host of SigningCertURL; "": as the publisher addressed the broker
    queues: tuple[QueueDeclaration, ...] = ()
    topics: tuple[TopicDeclaration, ...] = ()
    functions: tuple[FunctionDeclaration, ...] = ()

    @property
    def mail_server(self) -> tuple[str, int] | None:
        """Host and port of `smtp`."""
        if not self.smtp:
            return None
        host, _, port = self.smtp.rpartition(":")
        return host.strip("[]"), int(port)


def load(flags: Mapping[str, Any], environment: Mapping[str, str], file: str | None = None) -> Config:
    """Put the sources together. `flags`: those that were given. `file`: None looks for pombo.toml here. Raises ConfigError."""
    file = file or environment.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    document = _read_file(file)
    where = Path(file or DEFAULT_FILE).name
    server = document.pop("server", {})
    queues = read_queues(where, document.pop("queues", {}))
    topics = read_topics(where, document.pop("topics", {}))
    functions = read_functions(where, document.pop("functions", {}))
    elsewhere = {name: _setting_of(where, document, table, key) for name, (table, key) in _TABLES.items()}
    if document:
        raise ConfigError(
            f"{where}: unknown table {next(iter(document))!r}; expected [server], [email], [sns], "
            "[queues.NAME], [topics.NAME] or [functions.NAME]"
        )
    if not isinstance(server, dict):
        raise ConfigError(f"{where}: server is {server!r}; expected a table")
    names = [f.name for f in fields(Config) if f.name not in ("queues", "topics", "functions")]
    in_server = [name for name in names if name not in _TABLES]
    for name in server:
        if name not in in_server:
            raise ConfigError(f"{where}: unknown setting server.{name}; expected one of {', '.join(in_server)}")
    values: dict[str, Any] = {}
    for name in names:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if flags.get(name) is not None:
            values[name] = _checked(f"--{name.replace('_', '-')}", name, flags[name])
        elif variable in environment:
            values[name] = _checked(variable, name, environment[variable])
        elif name in server:
            values[name] = _checked(f"{where}: server.{name}", name, server[name])
        elif elsewhere.get(name) is not None:
            values[name] = _checked(f"{where}: {'.'.join(_TABLES[name])}", name, elsewhere[name])
    return Config(**values, queues=queues, topics=topics, functions=functions)


def _setting_of(where: str, document: dict[str, Any], table: str, key: str) -> Any:
    """Take a table with a single setting out of the document; None where there is none."""
    settings = document.pop(table, None)
    if settings is None:
        return None
    if not isinstance(settings, dict):
        raise ConfigError(f"{where}: {table} is {settings!r}; expected a table")
    for name in settings:
        if name != key:
            raise ConfigError(f"{where}: unknown setting {table}.{name}; expected {key}")
    return settings.get(key)


def _read_file(file: str | None) -> dict[str, Any]:
    path = Path(file or DEFAULT_FILE)
    if file is None and not path.exists():
        return {}
    try:
        with path.open("rb") as opened:
            return tomllib.load(opened)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None


def _checked(source: str, name: str, value: Any) -> Any:
    if name == "port":
        return _port(source, value)
    if name == "cooldowns":
        return _switch(source, value)
    if name == "allowed_hosts":
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise ConfigError(f"{source} is {value!r}; expected names, separated by commas or as a list")
        return tuple(n.strip().lower() for n in names if n.strip())
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{source} is {value!r}; expected a text")
    if name == "smtp" and not _MAIL_SERVER.fullmatch(value):
        raise ConfigError(f"{source} is {value!r}; expected the HOST:PORT of a mail server")
    if name == "certificate_base" and not _BASE.fullmatch(value):
        raise ConfigError(f"{source} is {value!r}; expected https://HOST or http://HOST[:PORT], without a path")
    if name in CHOICES and value not in CHOICES[name]:
        raise ConfigError(f"{source} is {value!r}; expected one of {', '.join(CHOICES[name])}")
    return value


def _port(source: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65_535:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and int(value) <= 65_535:
        return int(value)
    raise ConfigError(f"{source} is {value!r}; expected a port from 0 to 65535 (0: any free one)")


def _switch(source: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("on", "off"):
        return bool(value == "on")
    raise ConfigError(f"{source} is {value!r}; expected on or off")
