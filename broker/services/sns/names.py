"""The names of topics, subscriptions, platform applications and their endpoints, as ARNs. State is apart per account and region."""

import re
from typing import Final, NamedTuple

from broker.services.sns.errors import InvalidParameter

_PARTS: Final = 6
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
_FIFO_NAME: Final = re.compile(r"(?=.{6,256}\Z)[A-Za-z0-9_-]+\.fifo")


class TopicName(NamedTuple):
    """What a topic is found by."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:{self.name}"


def check_topic_name(name: str, *, fifo: bool) -> None:
    """1 to 256 letters, digits, hyphens and underscores; a FIFO topic's name ends in .fifo. Raises InvalidParameter."""
    if not (_FIFO_NAME if fifo else _NAME).fullmatch(name):
        raise InvalidParameter("Topic Name")


def read_topic_arn(arn: str, parameter: str = "TopicArn", *, region: str | None = None) -> TopicName:
    """The topic that an ARN names; `region`: the only one that it may be in. Raises InvalidParameter."""
    parts = _split(arn, parameter)
    if len(parts) != _PARTS or parts[2] != "sns" or not all(parts[3:]):
        raise InvalidParameter(parameter)
    name = TopicName(parts[4], parts[3], parts[5])
    if region is not None and name.region != region:
        raise InvalidParameter(parameter)
    return name


def read_subscription_arn(arn: str) -> str:
    """The same ARN if it has a subscription's form. Raises InvalidParameter."""
    parts = _split(arn, "SubscriptionArn")
    if len(parts) != _PARTS + 1 or parts[2] != "sns" or not all(parts[3:]):
        raise InvalidParameter("SubscriptionId")
    return arn


class ApplicationName(NamedTuple):
    """What a platform application is found by."""

    account: str
    region: str
    platform: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:app/{self.platform}/{self.name}"

    def endpoint_arn(self, identifier: str) -> str:
        """The ARN of one of its endpoints."""
        return f"arn:aws:sns:{self.region}:{self.account}:endpoint/{self.platform}/{self.name}/{identifier}"


def read_application_arn(arn: str, parameter: str, *, region: str | None = None) -> ApplicationName:
    """The platform application that an ARN names; `region`: the only one that it may be in. Raises InvalidParameter."""
    name, _ = _read_platform_arn(arn, parameter, "app", 3, region)
    return name


def read_endpoint_arn(arn: str, parameter: str, *, region: str | None = None) -> tuple[ApplicationName, str]:
    """The endpoint that an ARN names: its application, and what it is called there. Raises InvalidParameter."""
    return _read_platform_arn(arn, parameter, "endpoint", 4, region)


def _read_platform_arn(
    arn: str, parameter: str, kind: str, steps: int, region: str | None
) -> tuple[ApplicationName, str]:
    parts = _split(arn, parameter)
    path = ":".join(parts[5:]).split("/")
    if len(path) != steps:
        raise InvalidParameter(f"{parameter} Reason: Wrong number of slashes in relative portion of the ARN.")
    if parts[2] != "sns" or path[0] != kind or not all((*parts[3:5], *path)) or region not in (None, parts[3]):
        raise InvalidParameter(parameter)
    return ApplicationName(parts[4], parts[3], path[1], path[2]), path[-1]


def _split(arn: str, parameter: str) -> list[str]:
    parts = arn.split(":")
    if len(parts) < _PARTS or parts[0] != "arn":
        raise InvalidParameter(f"{parameter} Reason: An ARN must have at least {_PARTS} elements, not {len(parts)}")
    return parts
