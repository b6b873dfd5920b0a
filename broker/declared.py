"""What pombo.toml declares, as it is written: queues, topics with subscriptions, functions with queues.

AWS's own rules are checked when it is made.

A bad declaration is refused with its name, its value, and what was expected; each keeps `where` it stands, for what is refused
when it is made: the file's name and the table's.
"""

import re
import sys
from dataclasses import dataclass, field, fields
from typing import Any, Final

_ACCOUNT: Final = "000000000000"
_REGION: Final = "us-east-1"
_REGION_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")  # what a signature can name


class ConfigError(Exception):
    """A setting or declaration cannot be used; the text says which, what it was, and what was expected."""


@dataclass(frozen=True, slots=True)
class QueueDeclaration:
    """A queue that exists when the broker is ready. `attributes` and `tags` as in CreateQueue."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    dead_letter_queue: str | None = None  # a queue's name, of the same account and region
    max_receive_count: int = 10
    account: str = _ACCOUNT
    region: str = _REGION
    where: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionDeclaration:
    """A subscription of a declared topic: to `queue` (a name, of the topic's account and region), or `protocol` and `endpoint`."""

    queue: str | None = None
    protocol: str | None = None
    endpoint: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True, slots=True)
class TopicDeclaration:
    """A topic that exists when the broker is ready. `attributes` and `tags` as in CreateTopic."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    subscriptions: tuple[SubscriptionDeclaration, ...] = ()
    account: str = _ACCOUNT
    region: str = _REGION
    where: str = ""


@dataclass(frozen=True, slots=True)
class MappingDeclaration:
    """A queue (a name, of the function's account and region) whose messages a declared function processes."""

    queue: str
    batch_size: int = 10
    window_s: int = 0
    report_failures: bool = False
    where: str = ""


@dataclass(frozen=True, slots=True)
class FunctionDeclaration:
    """A function that exists when the broker is ready, run from `directory`, where its code may be changed at any time."""

    name: str
    directory: str
    handler: str
    runtime: str = f"python3.{sys.version_info.minor}"
    timeout_s: int = 3
    memory_mb: int = 128
    environment: dict[str, str] = field(default_factory=dict)
    mappings: tuple[MappingDeclaration, ...] = ()
    account: str = _ACCOUNT
    region: str = _REGION
    where: str = ""


def read_functions(where: str, tables: Any) -> tuple[FunctionDeclaration, ...]:
    """[functions.NAME]. Raises ConfigError."""
    return tuple(
        _function(f"{where}: functions.{name}", name, table) for name, table in _tables(where, "functions", tables)
    )


def read_queues(where: str, tables: Any) -> tuple[QueueDeclaration, ...]:
    """[queues.NAME]. `where`: the file's name. Raises ConfigError."""
    return tuple(_queue(f"{where}: queues.{name}", name, table) for name, table in _tables(where, "queues", tables))


def read_topics(where: str, tables: Any) -> tuple[TopicDeclaration, ...]:
    """[topics.NAME]. Raises ConfigError."""
    return tuple(_topic(f"{where}: topics.{name}", name, table) for name, table in _tables(where, "topics", tables))


def _tables(where: str, kind: str, tables: Any) -> list[tuple[str, Any]]:
    if not isinstance(tables, dict):
        raise ConfigError(f"{where}: {kind} is {tables!r}; expected tables [{kind}.NAME]")
    return list(tables.items())


def _queue(where: str, name: str, table: Any) -> QueueDeclaration:
    table = _known(where, table, QueueDeclaration)
    texts = {key: _texts(f"{where}.{key}", table.get(key, {})) for key in ("attributes", "tags")}
    _check_place(where, table)
    _check_text(where, table, "dead_letter_queue")
    count = table.get("max_receive_count", 10)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 1000:
        raise ConfigError(f"{where}.max_receive_count is {count!r}; expected a number from 1 to 1000")
    if "max_receive_count" in table and "dead_letter_queue" not in table:
        raise ConfigError(f"{where}.max_receive_count is {count!r}; expected a dead_letter_queue beside it")
    if "dead_letter_queue" in table and "RedrivePolicy" in texts["attributes"]:
        raise ConfigError(f"{where}.attributes has a RedrivePolicy; expected it or dead_letter_queue, not both")
    return QueueDeclaration(name, **{**table, **texts}, where=where)


def _topic(where: str, name: str, table: Any) -> TopicDeclaration:
    table = _known(where, table, TopicDeclaration)
    texts = {key: _texts(f"{where}.{key}", table.get(key, {})) for key in ("attributes", "tags")}
    _check_place(where, table)
    given = table.get("subscriptions", [])
    if not isinstance(given, list):
        raise ConfigError(f"{where}.subscriptions is {given!r}; expected tables [[topics.{name}.subscriptions]]")
    subscriptions = tuple(_subscription(f"{where}.subscriptions[{i}]", one) for i, one in enumerate(given))
    return TopicDeclaration(name, **{**table, **texts, "subscriptions": subscriptions}, where=where)


def _subscription(where: str, table: Any) -> SubscriptionDeclaration:
    table = _known(where, table, SubscriptionDeclaration)
    for key in ("queue", "protocol", "endpoint"):
        _check_text(where, table, key)
    given = {key for key in ("queue", "protocol", "endpoint") if key in table}
    if given not in ({"queue"}, {"protocol", "endpoint"}):
        raise ConfigError(
            f"{where} has {', '.join(sorted(given)) or 'no endpoint'}; expected queue, or protocol and endpoint"
        )
    return SubscriptionDeclaration(
        **{**table, "attributes": _texts(f"{where}.attributes", table.get("attributes", {}))}, where=where
    )


def _function(where: str, name: str, table: Any) -> FunctionDeclaration:
    table = _known(where, table, FunctionDeclaration)
    _check_place(where, table)
    for key in ("directory", "handler"):
        if key not in table:
            raise ConfigError(f"{where}.{key} is missing; expected a text")
    for key in ("directory", "handler", "runtime"):
        _check_text(where, table, key)
    for key in ("timeout_s", "memory_mb"):
        _check_number(where, table, key)
    given = table.get("mappings", [])
    if not isinstance(given, list):
        raise ConfigError(f"{where}.mappings is {given!r}; expected tables [[functions.{name}.mappings]]")
    mappings = tuple(_mapping(f"{where}.mappings[{i}]", one) for i, one in enumerate(given))
    environment = _texts(f"{where}.environment", table.get("environment", {}))
    return FunctionDeclaration(name, **{**table, "environment": environment, "mappings": mappings}, where=where)


def _mapping(where: str, table: Any) -> MappingDeclaration:
    table = _known(where, table, MappingDeclaration)
    if "queue" not in table:
        raise ConfigError(f"{where}.queue is missing; expected a queue's name")
    _check_text(where, table, "queue")
    for key in ("batch_size", "window_s"):
        _check_number(where, table, key)
    if not isinstance(table.get("report_failures", False), bool):
        raise ConfigError(f"{where}.report_failures is {table['report_failures']!r}; expected true or false")
    return MappingDeclaration(**table, where=where)


def _check_number(where: str, table: dict[str, Any], key: str) -> None:
    value = table.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{where}.{key} is {value!r}; expected a whole number")


def _known(where: str, table: Any, declaration: type) -> dict[str, Any]:
    """The table, if it has no keys but the declaration's."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is {table!r}; expected a table")
    known = {f.name for f in fields(declaration)} - {"name", "where"}
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}.{key} is not known; expected one of {', '.join(sorted(known))}")
    return table


def _check_place(where: str, table: dict[str, Any]) -> None:
    for key in ("account", "region"):
        _check_text(where, table, key)
    account = table.get("account", _ACCOUNT)
    if len(account) != 12 or not account.isascii() or not account.isdigit():
        raise ConfigError(f"{where}.account is {account!r}; expected 12 digits")
    region = table.get("region", _REGION)
    if not _REGION_NAME.fullmatch(region):
        raise ConfigError(f"{where}.region is {region!r}; expected a region's name, such as eu-west-1")


def _check_text(where: str, table: dict[str, Any], key: str) -> None:
    if not isinstance(table.get(key, "x"), str) or not table.get(key, "x"):
        raise ConfigError(f"{where}.{key} is {table[key]!r}; expected a text")


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
