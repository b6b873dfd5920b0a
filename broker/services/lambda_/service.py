"""Lambda's identity on the wire. The operation modules register their handlers on it."""

from typing import Final

from broker.errors import AwsError
from broker.services.lambda_.errors import ValidationException
from broker.services.operation import Service


def _missing(name: str) -> AwsError:
    return ValidationException(name[:1].lower() + name[1:], "null", "Member must not be null")


def _invalid(name: str, text: str, expected: str) -> AwsError:
    return ValidationException(name[:1].lower() + name[1:], f"'{text[:200]}'", f"Member must be {expected}")


SERVICE: Final = Service(
    name="lambda",
    json_target="",
    query_version="",
    xml_namespace="",
    missing=_missing,
    invalid=_invalid,
)
