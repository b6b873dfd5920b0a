"""SNS's identity on the wire. The operation modules register their handlers on it."""

from typing import Final

import msgspec

from broker.errors import AwsError
from broker.services.operation import Service
from broker.services.sns.errors import InvalidParameter


class EmptyResult(msgspec.Struct):
    """The reply of an operation whose result AWS's model declares without members; SDKs look for its element."""


def _missing(name: str) -> AwsError:
    return InvalidParameter(f"{name} Reason: no value for required parameter")


def _invalid(name: str, text: str, expected: str) -> AwsError:
    return InvalidParameter(f"{name} Reason: {text} is not {expected}")


SERVICE: Final = Service(
    name="sns",
    json_target="",
    query_version="2010-03-31",
    xml_namespace="http://sns.amazonaws.com/doc/2010-03-31/",
    missing=_missing,
    invalid=_invalid,
)
