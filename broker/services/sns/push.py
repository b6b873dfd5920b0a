"""Mobile push: platform applications and their endpoints. There are no devices here, so what is sent to them is captured.

Source: SNS API Reference; Developer Guide, "Mobile push notifications".
"""

import msgspec

from broker.services.context import Call
from broker.services.sns.errors import InvalidParameter
from broker.services.sns.names import ApplicationName, read_application_arn, read_endpoint_arn
from broker.services.sns.paging import PAGE, cut_page, read_token
from broker.services.sns.push_events import tell
from broker.services.sns.push_rules import (
    CREATED,
    DELETED,
    UPDATED,
    attributes_after,
    check_application_name,
    check_changed_application,
    check_endpoint_attributes,
    check_new_application,
    check_new_endpoint,
    endpoint_attributes_after,
    secrets,
)
from broker.services.sns.push_state import Application, Endpoint, Platforms
from broker.services.sns.service import SERVICE
from broker.services.sns.topics import AttributesResult

# Applications


class CreatePlatformApplicationRequest(msgspec.Struct, rename="pascal", kw_only=True):
    name: str
    platform: str
    attributes: dict[str, str]


class CreatePlatformApplicationResult(msgspec.Struct, rename="pascal"):
    platform_application_arn: str


@SERVICE.operation(
    "CreatePlatformApplication", CreatePlatformApplicationRequest, CreatePlatformApplicationResult, at_queue=False
)
async def create_platform_application(
    call: Call, request: CreatePlatformApplicationRequest
) -> CreatePlatformApplicationResult:
    """Make an application, or find the one of this name if it has the given attributes and credentials.

    Only what is given is compared.
    """
    check_application_name(request.platform, request.name)
    check_new_application(request.platform, request.attributes, call.region)
    name = ApplicationName(call.account, call.region, request.platform, request.name)
    platforms = call.runtime.part(Platforms)
    application = await call.runtime.call(_ensure_application, platforms, name, request.attributes)
    return CreatePlatformApplicationResult(application.arn)


class PlatformApplicationRequest(msgspec.Struct, rename="pascal"):
    platform_application_arn: str


@SERVICE.operation("DeletePlatformApplication", PlatformApplicationRequest, at_queue=False)
async def delete_platform_application(call: Call, request: PlatformApplicationRequest) -> None:
    """Delete an application and its endpoints. One that does not exist is deleted already."""
    name = _application_name(call, request.platform_application_arn)
    await call.runtime.call(_delete_application, call.runtime.part(Platforms), name)


class ListPlatformApplicationsRequest(msgspec.Struct, rename="pascal"):
    next_token: str | None = None


class ListedPlatformApplication(msgspec.Struct, rename="pascal"):
    platform_application_arn: str
    attributes: dict[str, str]


class ListPlatformApplicationsResult(msgspec.Struct, rename="pascal", kw_only=True):
    platform_applications: list[ListedPlatformApplication]
    next_token: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation(
    "ListPlatformApplications", ListPlatformApplicationsRequest, ListPlatformApplicationsResult, at_queue=False
)
async def list_platform_applications(
    call: Call, request: ListPlatformApplicationsRequest
) -> ListPlatformApplicationsResult:
    """The account's applications in the region, by ARN, 100 at a time."""
    after = read_token(request.next_token)
    platforms = call.runtime.part(Platforms)
    found = await call.runtime.call(platforms.applications_after, call.account, call.region, after, PAGE + 1)
    page, next_token = cut_page(found, lambda application: application.arn)
    listed = [ListedPlatformApplication(a.arn, dict(a.record.attributes)) for a in page]
    return ListPlatformApplicationsResult(platform_applications=listed, next_token=next_token)


@SERVICE.operation("GetPlatformApplicationAttributes", PlatformApplicationRequest, AttributesResult, at_queue=False)
async def get_platform_application_attributes(call: Call, request: PlatformApplicationRequest) -> AttributesResult:
    """An application's attributes, without its credentials."""
    name = _application_name(call, request.platform_application_arn)
    application = await call.runtime.call(call.runtime.part(Platforms).find_application, name)
    return AttributesResult(dict(application.record.attributes))


class SetPlatformApplicationAttributesRequest(msgspec.Struct, rename="pascal", kw_only=True):
    platform_application_arn: str
    attributes: dict[str, str]


@SERVICE.operation("SetPlatformApplicationAttributes", SetPlatformApplicationAttributesRequest, at_queue=False)
async def set_platform_application_attributes(call: Call, request: SetPlatformApplicationAttributesRequest) -> None:
    """Set some attributes of an application; an empty value takes one away."""
    name = _application_name(call, request.platform_application_arn)
    await call.runtime.call(_set_application, call.runtime.part(Platforms), name, request.attributes)


# Endpoints


class CreatePlatformEndpointRequest(msgspec.Struct, rename="pascal", kw_only=True):
    platform_application_arn: str
    token: str
    custom_user_data: str | None = None
    attributes: dict[str, str] | None = None


class CreatePlatformEndpointResult(msgspec.Struct, rename="pascal"):
    endpoint_arn: str


@SERVICE.operation(
    "CreatePlatformEndpoint", CreatePlatformEndpointRequest, CreatePlatformEndpointResult, at_queue=False
)
async def create_platform_endpoint(call: Call, request: CreatePlatformEndpointRequest) -> CreatePlatformEndpointResult:
    """Make an endpoint, or find the one of this token if it has the given attributes and the same user data."""
    name = _application_name(call, request.platform_application_arn)
    given = {**(request.attributes or {}), "Token": request.token}
    if request.custom_user_data is not None:
        given["CustomUserData"] = request.custom_user_data
    endpoint, made = await call.runtime.call(_ensure_endpoint, call.runtime.part(Platforms), name, given)
    if made:
        await _tell(call, CREATED, endpoint)
    return CreatePlatformEndpointResult(endpoint.arn)


class EndpointRequest(msgspec.Struct, rename="pascal"):
    endpoint_arn: str


@SERVICE.operation("DeleteEndpoint", EndpointRequest, at_queue=False)
async def delete_endpoint(call: Call, request: EndpointRequest) -> None:
    """Delete an endpoint, but no subscription of it. One that does not exist is deleted already."""
    name, identifier = read_endpoint_arn(request.endpoint_arn, "EndpointArn", region=call.region)
    endpoint = await call.runtime.call(_delete_endpoint, call.runtime.part(Platforms), name, identifier)
    if endpoint is not None:
        await _tell(call, DELETED, endpoint)


class ListEndpointsRequest(msgspec.Struct, rename="pascal", kw_only=True):
    platform_application_arn: str
    next_token: str | None = None


class ListedEndpoint(msgspec.Struct, rename="pascal"):
    endpoint_arn: str
    attributes: dict[str, str]


class ListEndpointsResult(msgspec.Struct, rename="pascal", kw_only=True):
    endpoints: list[ListedEndpoint]
    next_token: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("ListEndpointsByPlatformApplication", ListEndpointsRequest, ListEndpointsResult, at_queue=False)
async def list_endpoints_by_platform_application(call: Call, request: ListEndpointsRequest) -> ListEndpointsResult:
    """The endpoints of an application, 100 at a time."""
    name = _application_name(call, request.platform_application_arn)
    after = read_token(request.next_token)
    platforms = call.runtime.part(Platforms)
    found = await call.runtime.call(lambda: platforms.find_application(name).endpoints_after(after, PAGE + 1))
    page, next_token = cut_page(found, lambda endpoint: endpoint.record.id)
    listed = [ListedEndpoint(endpoint.arn, dict(endpoint.record.attributes)) for endpoint in page]
    return ListEndpointsResult(endpoints=listed, next_token=next_token)


@SERVICE.operation("GetEndpointAttributes", EndpointRequest, AttributesResult, at_queue=False)
async def get_endpoint_attributes(call: Call, request: EndpointRequest) -> AttributesResult:
    """An endpoint's attributes."""
    name, identifier = read_endpoint_arn(request.endpoint_arn, "EndpointArn", region=call.region)
    endpoint = await call.runtime.call(call.runtime.part(Platforms).find_endpoint, name, identifier)
    return AttributesResult(dict(endpoint.record.attributes))


class SetEndpointAttributesRequest(msgspec.Struct, rename="pascal", kw_only=True):
    endpoint_arn: str
    attributes: dict[str, str]


@SERVICE.operation("SetEndpointAttributes", SetEndpointAttributesRequest, at_queue=False)
async def set_endpoint_attributes(call: Call, request: SetEndpointAttributesRequest) -> None:
    """Set some attributes of an endpoint; empty user data takes it away."""
    name, identifier = read_endpoint_arn(request.endpoint_arn, "EndpointArn", region=call.region)
    platforms = call.runtime.part(Platforms)
    endpoint, changed = await call.runtime.call(_set_endpoint, platforms, name, identifier, request.attributes)
    if changed:
        await _tell(call, UPDATED, endpoint)


def _application_name(call: Call, arn: str) -> ApplicationName:
    return read_application_arn(arn, "PlatformApplicationArn", region=call.region)


async def _tell(call: Call, event: str, endpoint: Endpoint) -> None:
    application = endpoint.application
    await tell(call, event, application.record.attributes, application.arn, endpoint.arn)


def _ensure_application(platforms: Platforms, name: ApplicationName, given: dict[str, str]) -> Application:
    attributes = attributes_after(name.platform, {}, given)
    existing = platforms.application(name)
    if existing is None:
        return platforms.create_application(name, attributes, secrets(given))
    has = existing.record.attributes | existing.record.secrets
    wanted = attributes | secrets(given)
    if any(has.get(attribute) != wanted.get(attribute) for attribute in given):
        raise InvalidParameter("Attributes Reason: Platform application already exists with different attributes")
    return existing


def _delete_application(platforms: Platforms, name: ApplicationName) -> None:
    application = platforms.application(name)
    if application is not None:
        platforms.delete_application(application)


def _set_application(platforms: Platforms, name: ApplicationName, given: dict[str, str]) -> None:
    application = platforms.find_application(name)
    check_changed_application(name.platform, given, name.region)
    record = application.record
    record.attributes = attributes_after(name.platform, record.attributes, given)
    record.secrets = record.secrets | secrets(given)
    platforms.record_application(application)


def _ensure_endpoint(platforms: Platforms, name: ApplicationName, given: dict[str, str]) -> tuple[Endpoint, bool]:
    """The endpoint, and whether it is new."""
    application = platforms.find_application(name)
    check_new_endpoint(given, platform=name.platform)
    attributes = endpoint_attributes_after(name.platform, {}, given)
    existing = application.by_token.get(attributes["Token"])
    if existing is None:
        return platforms.create_endpoint(application, attributes), True
    has = existing.record.attributes
    same = all(has.get(attribute) == attributes.get(attribute) for attribute in given if attribute != "CustomUserData")
    if not same or has.get("CustomUserData") != attributes.get("CustomUserData"):
        raise _taken(existing)
    return existing, False


def _delete_endpoint(platforms: Platforms, name: ApplicationName, identifier: str) -> Endpoint | None:
    endpoint = platforms.endpoint(name, identifier)
    if endpoint is not None:
        platforms.delete_endpoint(endpoint)
    return endpoint


def _set_endpoint(
    platforms: Platforms, name: ApplicationName, identifier: str, given: dict[str, str]
) -> tuple[Endpoint, bool]:
    """The endpoint, and whether anything about it is different now."""
    endpoint = platforms.find_endpoint(name, identifier)
    check_endpoint_attributes(given, platform=name.platform)
    attributes = endpoint_attributes_after(name.platform, endpoint.record.attributes, given)
    other = endpoint.application.by_token.get(attributes["Token"])
    if other is not None and other is not endpoint:
        raise _taken(other)
    if attributes == endpoint.record.attributes:
        return endpoint, False
    platforms.change_endpoint(endpoint, attributes)
    return endpoint, True


def _taken(endpoint: Endpoint) -> InvalidParameter:
    return InvalidParameter(
        f"Token Reason: Endpoint {endpoint.arn} already exists with the same Token, but different attributes."
    )
