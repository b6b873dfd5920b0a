"""Endpoints of subscriptions: what each protocol takes, and whether it must be confirmed. Source: SNS API Reference, Subscribe."""

import re
from typing import Final
from urllib.parse import urlsplit

from broker.core.settings import queue_name_of_arn
from broker.services.sns.errors import InvalidParameter
from broker.services.sns.topic import Topic

PROTOCOLS: Final = frozenset(
    {"http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose"}
)
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# What the header of a mail would read as something else (a group, a comment, an encoded word) is no address.
_EMAIL: Final = re.compile(rf"(?=[^@]{{1,64}}@.{{1,253}}$)(?!.*=\?.*\?=){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
PHONE_NUMBER: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_URL_MAX: Final = 2_048
_FIFO_SUFFIX: Final = ".fifo"


def check_endpoint(topic: Topic, protocol: str, endpoint: str) -> None:
    """Whether the topic may deliver there. Raises InvalidParameter."""
    if protocol not in PROTOCOLS:
        raise InvalidParameter(f"Amazon SNS does not support this protocol string: {protocol}")
    if not endpoint:
        raise InvalidParameter("Endpoint Reason: no value for required parameter")
    if protocol in ("http", "https"):
        _check_url(protocol, endpoint)
    elif protocol in ("email", "email-json"):
        if not _EMAIL.fullmatch(endpoint):
            raise InvalidParameter("Email address")
    elif protocol == "sms":
        if not PHONE_NUMBER.fullmatch(re.sub(r"[ ()./-]", "", endpoint)):
            raise InvalidParameter(f"Invalid SMS endpoint: {endpoint}")
    elif protocol == "sqs":
        _check_queue(topic, endpoint)
    elif not _is_arn(endpoint, {"application": "sns", "lambda": "lambda", "firehose": "firehose"}[protocol]):
        raise InvalidParameter(f"{protocol.capitalize()} endpoint ARN")
    if topic.fifo and protocol != "sqs":
        raise InvalidParameter(
            f"Invalid parameter: Protocol Reason: FIFO topics do not support the protocol {protocol}"
        )


def needs_confirmation(protocol: str, endpoint: str, caller: str) -> bool:
    """Whether the endpoint's owner must confirm: where the endpoint is not on AWS, or not in the caller's account."""
    if protocol in ("http", "https", "email", "email-json"):
        return True
    return protocol == "sqs" and endpoint.split(":")[4] != caller


def _check_url(protocol: str, endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not endpoint.startswith(f"{protocol}://"):
        raise InvalidParameter("Endpoint must match the specified protocol")
    if not valid or len(endpoint) > _URL_MAX or not endpoint.isprintable() or " " in endpoint:
        raise InvalidParameter("HTTP(S) endpoint is not a valid URL")


def _check_queue(topic: Topic, endpoint: str) -> None:
    queue = queue_name_of_arn(endpoint)
    if queue is None or not queue.account.isdigit():
        raise InvalidParameter("SQS endpoint ARN")
    if queue.name.endswith(_FIFO_SUFFIX) and not topic.fifo:
        raise InvalidParameter(
            "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"
        )


def _is_arn(text: str, service: str) -> bool:
    parts = text.split(":", 5)
    return len(parts) == 6 and parts[0] == "arn" and parts[2] == service and all(parts[3:])
