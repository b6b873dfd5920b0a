"""Queue URLs: which queue one names, and the one that a queue has for a caller.

The path decides. The host is never trusted; of a host that is not the caller's own, a region is read where it has AWS's
form (`sqs.eu-west-1.…`, `eu-west-1.queue.…`). Otherwise the region is that of the request's signature.
"""

import re
from typing import Final, NamedTuple

from broker.core.errors import MissingParameter
from broker.core.settings import QueueName
from broker.services.context import Call
from broker.services.sqs.errors import InvalidAddress

_LENGTH_MAX: Final = 1024  # of what is remembered; no queue's URL comes near
_REMEMBERED_MAX: Final = 16_384
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
    return _names.find(queue_url, call)


def queue_url(call: Call, name: QueueName) -> str:
    """The URL of a queue, at the address that the caller used."""
    return f"{call.base_url}/{name.account}/{name.name}"


class _Names:
    """What URLs name, for callers of an account and a region at an address of the broker's. When there are many, it begins anew."""

    def __init__(self) -> None:
        self._by_caller: dict[tuple[str, str, str], dict[str, QueueName]] = {}
        self._count = 0

    def find(self, queue_url: str, call: Call) -> QueueName:
        """Raises InvalidAddress."""
        names = self._by_caller.get((call.base_url, call.account, call.region))
        name = None if names is None else names.get(queue_url)
        return self._read(queue_url, call) if name is None else name

    def _read(self, queue_url: str, call: Call) -> QueueName:
        name = None
        if len(queue_url) <= _LENGTH_MAX:
            name = _name(queue_url, call.base_url, call.account, call.region)
        if name is None:
            raise InvalidAddress(queue_url)
        if self._count >= _REMEMBERED_MAX:
            self._by_caller.clear()
            self._count = 0
        self._by_caller.setdefault((call.base_url, call.account, call.region), {})[queue_url] = name
        self._count += 1
        return name


_names: Final = _Names()


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
