"""Who may use the console: a page on another site must not reach it through a visitor's browser."""

import ipaddress
from urllib.parse import urlsplit

from broker.console.replies import Refused
from broker.wire.http import HttpRequest


class Guard:
    """Refuses foreign Host and Origin headers. `allowed`: names besides loopback ones, addresses and the one bound to."""

    def __init__(self, bound_host: str, allowed: tuple[str, ...]) -> None:
        self._allowed = frozenset({bound_host.lower(), "localhost", *allowed})

    def check(self, request: HttpRequest) -> None:
        """Raises Refused (403)."""
        host = request.headers.get("host", "")
        if host and not self._is_ours(_name(host)):
            raise Refused(403, f"Host is {host!r}; expected a loopback name, an address, or one of --allowed-hosts")
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() != request.base_url.lower():
            raise Refused(403, f"Origin is {origin!r}; expected {request.base_url!r}")

    def _is_ours(self, name: str | None) -> bool:
        if not name:
            return False
        if name in self._allowed or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True  # no other site's name leads here by rebinding


def _name(host: str) -> str | None:
    """The name or address in a Host header, without port; None where there is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
