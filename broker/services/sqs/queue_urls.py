"""Queue URLs: which queue one names, and the one that a queue has for a caller.

The path decides. The host is never trusted; of a host that is not the caller's own, a region is read where it has AWS's
form (`sqs.eu-west-1.…`, `eu-west-1.queue.…`). Otherwise the region is that of the request's signature.
"""

import re
from typing import Final, NamedTuple

from broker.core.engine import Engine
from broker.core.errors import MissingParameter
from broker.core.queue import Queue
from broker.core.settings import QueueName
from broker.services.context import Call
from broker.services.sqs.errors import InvalidAddress

_LENGTH_MAX: Final = 1024  # no queue's URL comes near
_REMEMBERED_MAX: Final = 16_384  # URLs of all callers
_CALLERS_MAX: Final = 64
_PATH: Final = re.compile(r"/?(?:queue/(?P<region>[a-z0-9-]+)/)?(?P<account>\d{12})/(?P<name>[A-Za-z0-9_.-]{1,80})/?")
_BARE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_REGION: Final = r"(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)"
_REGIONAL_HOSTS: Final = (
    re.compile(rf"(?:.+\.)?sqs(?:-fips)?\.{_REGION}\..+"),
    re.compile(rf"{_REGION}\.queue\..+"),
)
_LEGACY_HOST: Final = "queue.amazonaws.com"
_LEGACY_REGION: Final = "us-east-1"


class _Address(NamedTuple):
    """What a QueueUrl says. None: it does not say."""

    host: str
    host_region: str | None
    path_region: str | None
    account: str | None
    name: str


def queue_name(call: Call, queue_url: str | None) -> QueueName:
    """The queue that a request's QueueUrl names. Raises MissingParameter, InvalidAddress."""
    if not queue_url:
        raise MissingParameter("QueueUrl")
    name = _name(queue_url, call.base_url, call.account, call.region) if len(queue_url) <= _LENGTH_MAX else None
    if name is None:
        raise InvalidAddress(queue_url)
    return name


def find_queue(call: Call, queue_url: str | None) -> Queue:
    """That queue, to be asked for within a call of the engine. Raises MissingParameter, InvalidAddress, QueueDoesNotExist."""
    if not queue_url:
        raise MissingParameter("QueueUrl")
    engine: Engine = call.runtime.engine
    queue = _remembered(engine, call, queue_url)
    if queue is None:
        queue = engine.find_queue(queue_name(call, queue_url))
        _remember(engine, call, queue_url, queue)
    return queue


def known_queue(call: Call, queue_url: str | None) -> Queue | None:
    """The queue of a QueueUrl, to be used at once; None where it must be asked for within a call of the engine.

    Raises MissingParameter and InvalidAddress where there can be none.
    """
    queue = _remembered(call.runtime.engine, call, queue_url) if queue_url else None
    if queue is None:
        queue_name(call, queue_url)
    return queue


def queue_url(call: Call, name: QueueName) -> str:
    """The URL of a queue, at the address that the caller used."""
    return f"{call.base_url}/{name.account}/{name.name}"


def _remembered(engine: Engine, call: Call, queue_url: str) -> Queue | None:
    """A queue that was found by this URL before, for such a caller, and is still there."""
    queues = engine.found.get((call.base_url, call.account, call.region))
    queue = None if queues is None else queues.get(queue_url)
    return None if queue is None or queue.deleted else queue


def _remember(engine: Engine, call: Call, queue_url: str, queue: Queue) -> None:
    found = engine.found
    if len(found) >= _CALLERS_MAX or sum(map(len, found.values())) >= _REMEMBERED_MAX:
        found.clear()
    found.setdefault((call.base_url, call.account, call.region), {})[queue_url] = queue


def _name(queue_url: str, base_url: str, account: str, region: str) -> QueueName | None:
    address = _read(queue_url)
    if address is None:
        return None
    other_region = address.path_region
    if other_region is None and address.host_region is not None and address.host != _host(base_url):
        other_region = address.host_region
    return QueueName(address.account or account, other_region or region, address.name)


def _read(queue_url: str) -> _Address | None:
    if _BARE_NAME.fullmatch(queue_url):
        return _Address("", None, None, None, queue_url)
    host, path = "", queue_url
    if "://" in queue_url:
        host, _, path = queue_url.partition("://")[2].partition("/")
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    return _Address(host, _region_of_host(host), found["region"], found["account"], found["name"])


def _region_of_host(host: str) -> str | None:
    if host == _LEGACY_HOST:
        return _LEGACY_REGION
    for form in _REGIONAL_HOSTS:
        found = form.fullmatch(host)
        if found is not None:
            return found["region"]
    return None


def _host(base_url: str) -> str:
    return base_url.partition("://")[2]
