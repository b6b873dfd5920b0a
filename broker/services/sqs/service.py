"""SQS's identity on the wire. The operation modules register their handlers on it."""

from typing import Final

from broker.core.errors import InvalidParameterValue, MissingParameter
from broker.errors import AwsError
from broker.services.operation import Service


def _invalid(name: str, text: str, expected: str) -> AwsError:
    return InvalidParameterValue(f"Value {text} for parameter {name} is invalid. Reason: Must be {expected}.")


SERVICE: Final = Service(
    name="sqs",
    json_target="AmazonSQS",
    query_version="2012-11-05",
    xml_namespace="http://queue.amazonaws.com/doc/2012-11-05/",
    missing=MissingParameter,
    invalid=_invalid,
    fault_detail=True,
)
