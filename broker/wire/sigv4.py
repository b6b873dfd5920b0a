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
_REMEMBERED_MAX: Final = 1_000


class Identity(NamedTuple):
    """The caller. Where a request carries no credential, or one that cannot be read, the defaults."""

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    service: str = ""
    principal: str = DEFAULT_ACCOUNT  # the access key id, or the account


_scopes: dict[tuple[str, str, str], Identity] = {}


def identify(authorization: str | None, query_string: str) -> Identity:
    """The identity that a request claims. An access key id of 12 digits is an account of its own."""
    match = None
    if authorization:
        match = _HEADER.search(authorization)
    elif "X-Amz-Credential=" in query_string:
        presigned = _QUERY.search(query_string)
        match = _SCOPE.match(unquote(presigned.group(1))) if presigned else None
    if match is None:
        return Identity()
    key = (match.group(1), match.group(2), match.group(3))
    identity = _scopes.get(key)
    if identity is None:
        access_key, region, service = key
        account = access_key if len(access_key) == 12 and access_key.isascii() and access_key.isdigit() else None
        identity = Identity(account or DEFAULT_ACCOUNT, region, service, access_key or DEFAULT_ACCOUNT)
        if len(_scopes) < _REMEMBERED_MAX:
            _scopes[key] = identity
    return identity
