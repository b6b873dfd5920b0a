"""The attributes of platform applications and of endpoints: which there are, what they may hold, and what is shown.

Source: SNS API Reference, CreatePlatformApplication, SetPlatformApplicationAttributes, CreatePlatformEndpoint,
SetEndpointAttributes.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import orjson

from broker.services.sns.errors import InvalidParameter
from broker.services.sns.names import read_topic_arn

APPLE: Final = frozenset({"APNS", "APNS_SANDBOX", "APNS_VOIP", "APNS_VOIP_SANDBOX", "MACOS", "MACOS_SANDBOX"})
PLATFORMS: Final = APPLE | {"ADM", "BAIDU", "GCM", "MPNS", "WNS"}
CREATED: Final = "EventEndpointCreated"
UPDATED: Final = "EventEndpointUpdated"
DELETED: Final = "EventEndpointDeleted"
_EVENTS: Final = frozenset({CREATED, UPDATED, DELETED, "EventDeliveryFailure"})

_SECRETS: Final = ("PlatformCredential", "PlatformPrincipal")
_APPLE_ONLY: Final = ("ApplePlatformTeamID", "ApplePlatformBundleID")
_ROLES: Final = frozenset({"SuccessFeedbackRoleArn", "FailureFeedbackRoleArn"})
_RATE: Final = "SuccessFeedbackSampleRate"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_IOS_TOKEN: Final = re.compile(r"[0-9A-Fa-f]{1,400}")
_USER_DATA_BYTES_MAX: Final = 2_048
_BAIDU: Final = ("ChannelId", "UserId")


def check_application_name(platform: str, name: str) -> None:
    """Raises InvalidParameter."""
    if platform not in PLATFORMS:
        raise InvalidParameter(f"Platform Reason: {platform} is not a supported platform")
    if not _NAME.fullmatch(name):
        raise InvalidParameter(
            "Name Reason: Application names must be made up of only uppercase and lowercase ASCII letters, numbers, "
            "underscores, hyphens, and periods, and must be between 1 and 256 characters long."
        )


def check_new_application(platform: str, given: Mapping[str, str], region: str) -> None:
    """The attributes of a new application. Raises InvalidParameter."""
    needed = _SECRETS[:1] if platform == "GCM" else _SECRETS
    if not all(given.get(name) for name in needed):
        raise InvalidParameter("Attributes Reason: Platform credentials are invalid")
    _check_application(platform, given, region)


def check_changed_application(platform: str, given: Mapping[str, str], region: str) -> None:
    """Attributes of an application that are to be changed; "" takes one away, but no credentials. Raises InvalidParameter."""
    needed = _SECRETS[:1] if platform == "GCM" else _SECRETS
    if not all(given.get(name, name) for name in needed):
        raise InvalidParameter("Attributes Reason: Platform credentials are invalid")
    _check_application(platform, given, region)


def secrets(given: Mapping[str, str]) -> dict[str, str]:
    """Digests of the credentials that are given: enough to tell others from the same."""
    return {name: sha256(given[name].encode(errors="replace")).hexdigest() for name in _SECRETS if given.get(name)}


def attributes_after(platform: str, before: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What an application shows after `given`, which has been checked, is set. A new one has shown nothing before."""
    after = {"Enabled": "true", **before, **{n: v for n, v in given.items() if n not in _SECRETS}}
    after["Enabled"] = after["Enabled"].lower()
    method = _authentication_method(platform, after, given)
    if method:
        after["AuthenticationMethod"] = method
    return {name: value for name, value in after.items() if value}


def check_endpoint_attributes(given: Mapping[str, str], *, platform: str) -> None:
    """Attributes of an endpoint; its token comes among them. Raises InvalidParameter."""
    for name, value in given.items():
        if name == "CustomUserData":
            if len(value.encode(errors="replace")) > _USER_DATA_BYTES_MAX:
                raise InvalidParameter(
                    f"CustomUserData Reason: must be at most {_USER_DATA_BYTES_MAX} bytes long in UTF-8 encoding"
                )
        elif name == "Enabled":
            _boolean("Attributes", name, value)
        elif name == "Token":
            _check_token(platform, value)
        elif platform != "BAIDU" or name not in _BAIDU:
            raise InvalidParameter(f"Attributes Reason: Unknown attribute {name}")


def check_new_endpoint(given: Mapping[str, str], *, platform: str) -> None:
    """All attributes of a new endpoint. Raises InvalidParameter."""
    check_endpoint_attributes(given, platform=platform)
    if platform == "BAIDU":
        if not all(given.get(name) for name in _BAIDU):
            raise InvalidParameter("Attributes Reason: Baidu endpoints need the attributes ChannelId and UserId")
        if given["Token"] != given["ChannelId"]:
            raise InvalidParameter("Token Reason: the token of a Baidu endpoint is its ChannelId")


def endpoint_attributes_after(platform: str, before: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What an endpoint shows after `given`, which has been checked, is set. iOS tokens are shown in lower case."""
    after = {"Enabled": "true", **before, **given}
    after["Enabled"] = after["Enabled"].lower()
    if platform.startswith("APNS"):
        after["Token"] = after["Token"].lower()
    return {name: value for name, value in after.items() if value}


def _check_application(platform: str, given: Mapping[str, str], region: str) -> None:
    for name, value in given.items():
        if name == "Enabled":
            _boolean("Attributes", name, value)
        elif name == _RATE:
            if value and not (value.isascii() and value.isdigit() and len(value) <= 3 and int(value) <= 100):
                raise InvalidParameter(f"Attributes Reason: {name}: must be an integer from 0 to 100")
        elif name in _EVENTS:
            if value:
                read_topic_arn(value, name, region=region)
        elif name in _APPLE_ONLY:
            if platform not in APPLE:
                raise InvalidParameter(f"Attributes Reason: {name} can only be set for Apple's platforms")
        elif name not in _SECRETS and name not in _ROLES:
            raise InvalidParameter(f"Attributes Reason: Unknown attribute {name}")


def _authentication_method(platform: str, after: Mapping[str, str], given: Mapping[str, str]) -> str:
    """How Apple or Firebase is told who sends; "": the other platforms have one way, or nothing has changed."""
    if platform in APPLE:
        return "token" if all(after.get(name) for name in _APPLE_ONLY) else "certificate"
    if platform == "GCM" and given.get("PlatformCredential"):
        return "token" if _is_object(given["PlatformCredential"]) else "key"
    return ""


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _check_token(platform: str, token: str) -> None:
    if not token:
        raise InvalidParameter("Token Reason: no value for required parameter")
    if platform.startswith("APNS") and not _IOS_TOKEN.fullmatch(token):
        raise InvalidParameter("Token Reason: iOS device tokens must be no more than 400 hexadecimal characters")


def _boolean(parameter: str, name: str, value: str) -> None:
    if value.lower() not in ("true", "false"):
        raise InvalidParameter(f"{parameter} Reason: Invalid value for attribute: {name}: must be true or false")
