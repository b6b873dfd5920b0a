"""The names of functions, versions and aliases, in every form that requests have them in. Source: Lambda API Reference."""

import re
from typing import Final, NamedTuple

from broker.services.context import Call
from broker.services.lambda_.errors import ResourceNotFound, ValidationException

LATEST: Final = "$LATEST"
_NAME: Final = r"[A-Za-z0-9_-]{1,64}"
_QUALIFIER: Final = r"(?P<qualifier>\$LATEST|[A-Za-z0-9_-]{1,128})"
_FORMS: Final = re.compile(
    rf"(?:arn:aws:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{{12}}):function:|(?P<partial>\d{{12}}):function:|function:)?"
    rf"(?P<name>{_NAME})(?::{_QUALIFIER})?"
)
_RULE: Final = (
    "Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?"
    "(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?"
)
QUALIFIER: Final = re.compile(r"\$LATEST|[A-Za-z0-9_-]{1,128}")
ALIAS: Final = re.compile(r"(?!\d+$)[A-Za-z0-9_-]{1,128}")


class FunctionName(NamedTuple):
    """What a function is found by."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"


class Target(NamedTuple):
    """A function, and which of its versions: a number, an alias, or (None) the newest code."""

    function: FunctionName
    qualifier: str | None

    @property
    def arn(self) -> str:
        return self.function.arn if self.qualifier is None else f"{self.function.arn}:{self.qualifier}"


def read_target(call: Call, text: str, qualifier: str | None = None) -> Target:
    """The function that a request names, by name, partial ARN or ARN. Raises ValidationException, ResourceNotFound."""
    match = _FORMS.fullmatch(text)
    if match is None:
        raise ValidationException("functionName", f"'{text[:200]}'", _RULE)
    account = match["account"] or match["partial"] or call.account
    region = match["region"] or call.region
    if region != call.region:
        raise ResourceNotFound(f"Functions from '{region}' are not reachable in this region ('{call.region}')")
    if qualifier is not None and not QUALIFIER.fullmatch(qualifier):
        raise ValidationException(
            "qualifier", f"'{qualifier[:200]}'", "Member must satisfy regular expression pattern: [a-zA-Z0-9$_-]+"
        )
    if qualifier is not None and match["qualifier"] is not None and qualifier != match["qualifier"]:
        raise ValidationException(
            "qualifier", f"'{qualifier}'", "The derived qualifier from the function name does not match"
        )
    return Target(FunctionName(account, region, match["name"]), match["qualifier"] or qualifier)


def target_of_arn(arn: str) -> Target | None:
    """The function that an ARN names; None if it is not a function's ARN."""
    match = _FORMS.fullmatch(arn)
    if match is None or match["region"] is None:
        return None
    return Target(FunctionName(match["account"], match["region"], match["name"]), match["qualifier"])
