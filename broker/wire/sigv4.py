"""Who calls, and in which region: read from a SigV4 Authorization header or a presigned query. Signatures are not checked."""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

DEFAULT_ACCOUNT: Final = "000000000000"
DEFAULT_REGION: Final = "us-east-1"
_HEADER: Final = re.compile(
    r"Credential=([!-+\--.0-~]{0,128})/\d{8}/([A-Za-z0-9-]{1,64})/([A-Za-z0-9-]{1,64})/aws4_request"
)
_QUERY: Final = re.compile(r"(?:^|&)X-Amz-Credential=([^&]*)")
_SCOPE: Final = re.compile(r"^([!-+\--.0-~]{0,128})/\d{8}/([A-Za-z0-9-]{1,64})/([A-Za-z0-9-]{1,64})/aws4_request$")
_SCOPE_END: Final = "/aws4_request"
_REMEMBERED_MAX: Final = 1_000


class Identity(NamedTuple):
    """The caller. Where a request carries no credential, or one that cannot be read, the defaults."""

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    service: str = ""
    principal: str = DEFAULT_ACCOUNT  # the access key id, or the account


_known: dict[str, Identity] = {}  # by the beginning of an Authorization header, up to where the scope ends


def identify(authorization: str | None, query_string: str) -> Identity:
    """The identity that a request claims. An access key id of 12 digits is an account of its own."""
    if authorization:
        # What comes behind the scope differs from request to request; what comes before it a client repeats.
        end = authorization.find(_SCOPE_END) + len(_SCOPE_END)
        known = _known.get(authorization[:end])
        if known is not None:
            return known
        match = _HEADER.search(authorization)
        if match is None:
            return Identity()
        identity = _identity(match)
        if match.end() == end and len(_known) < _REMEMBERED_MAX:
            _known[authorization[:end]] = identity
        return identity
    if "X-Amz-Credential=" in query_string:
        presigned = _QUERY.search(query_string)
        match = _SCOPE.match(unquote(presigned.group(1))) if presigned else None
        if match is not None:
            return _identity(match)
    return Identity()


def _identity(match: re.Match[str]) -> Identity:
    access_key, region, service = match.groups()
    account = access_key if len(access_key) == 12 and access_key.isascii() and access_key.isdigit() else None
    return Identity(account or DEFAULT_ACCOUNT, region, service, access_key or DEFAULT_ACCOUNT)
