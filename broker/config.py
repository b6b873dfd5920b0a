"""The settings of a broker: flags over POMBO_* environment variables over pombo.toml over defaults, in one frozen value.

A bad setting is refused with its name, its value, and what was expected. What pombo.toml declares (queues) is kept as it is
written; declarations.py has it created.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

ENVIRONMENT_PREFIX: Final = "POMBO_"
DEFAULT_FILE: Final = "pombo.toml"

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "synchronous": ("full", "normal", "off"),
    "clock": ("system", "manual"),
    "log_format": ("text", "json"),
}


class ConfigError(Exception):
    """A setting cannot be used; the text says which, what it was, and what was expected."""


@dataclass(frozen=True, slots=True)
class QueueDeclaration:
    """A queue that exists when the broker is ready. `attributes` and `tags` as in CreateQueue."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    dead_letter_queue: str | None = None  # a queue's name, of the same account and region
    max_receive_count: int = 10
    account: str = "000000000000"
    region: str = "us-east-1"


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


def load(flags: Mapping[str, Any], environment: Mapping[str, str], file: str | None = None) -> Config:
    """Put the sources together. `flags`: those that were given. `file`: None looks for pombo.toml here. Raises ConfigError."""
    file = file or environment.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    document = _read_file(file)
    where = Path(file or DEFAULT_FILE).name
    server = document.pop("server", {})
    queues = document.pop("queues", {})
    if document:
        raise ConfigError(f"{where}: unknown table {next(iter(document))!r}; expected [server] or [queues.NAME]")
    if not isinstance(server, dict):
        raise ConfigError(f"{where}: server is {server!r}; expected a table")
    names = [f.name for f in fields(Config) if f.name != "queues"]
    for name in server:
        if name not in names:
            raise ConfigError(f"{where}: unknown setting server.{name}; expected one of {', '.join(names)}")
    values: dict[str, Any] = {}
    for name in names:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if flags.get(name) is not None:
            values[name] = _checked(f"--{name.replace('_', '-')}", name, flags[name])
        elif variable in environment:
            values[name] = _checked(variable, name, environment[variable])
        elif name in server:
            values[name] = _checked(f"{where}: server.{name}", name, server[name])
    return Config(**values, queues=_declared(where, queues))


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


def _declared(where: str, queues: Any) -> tuple[QueueDeclaration, ...]:
    if not isinstance(queues, dict):
        raise ConfigError(f"{where}: queues is {queues!r}; expected tables [queues.NAME]")
    return tuple(_queue(f"{where}: queues.{name}", name, table) for name, table in queues.items())


def _queue(where: str, name: str, table: Any) -> QueueDeclaration:
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is {table!r}; expected a table")
    known = {f.name for f in fields(QueueDeclaration)} - {"name"}
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}.{key} is not known; expected one of {', '.join(sorted(known))}")
    texts = {key: _texts(f"{where}.{key}", table.get(key, {})) for key in ("attributes", "tags")}
    for key in ("dead_letter_queue", "account", "region"):
        if not isinstance(table.get(key, "x"), str) or not table.get(key, "x"):
            raise ConfigError(f"{where}.{key} is {table[key]!r}; expected a text")
    account = table.get("account", "000000000000")
    if len(account) != 12 or not account.isascii() or not account.isdigit():
        raise ConfigError(f"{where}.account is {account!r}; expected 12 digits")
    count = table.get("max_receive_count", 10)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 1000:
        raise ConfigError(f"{where}.max_receive_count is {count!r}; expected a number from 1 to 1000")
    if "max_receive_count" in table and "dead_letter_queue" not in table:
        raise ConfigError(f"{where}.max_receive_count is {count!r}; expected a dead_letter_queue beside it")
    if "dead_letter_queue" in table and "RedrivePolicy" in texts["attributes"]:
        raise ConfigError(f"{where}.attributes has a RedrivePolicy; expected it or dead_letter_queue, not both")
    return QueueDeclaration(name, **{**table, **texts})


def _texts(where: str, table: Any) -> dict[str, str]:
    """A table of texts, as AWS's attributes and tags are; TOML's numbers and booleans are let pass for them."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is {table!r}; expected a table")
    texts = {}
    for key, value in table.items():
        if not isinstance(value, str | int):
            raise ConfigError(f"{where}.{key} is {value!r}; expected a text, a whole number or true or false")
        texts[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return texts
