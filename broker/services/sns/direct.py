"""Publishing straight to a phone or to a device: there is neither here, so the message is captured."""

from broker.services.context import Call
from broker.services.sns.deliveries import Delivery
from broker.services.sns.endpoints import PHONE_NUMBER
from broker.services.sns.errors import EndpointDisabled, InvalidParameter, PlatformApplicationDisabled
from broker.services.sns.message_rules import Draft, attribute_view
from broker.services.sns.names import ApplicationName, read_endpoint_arn
from broker.services.sns.plan import Plan
from broker.services.sns.push_state import Platforms
from broker.services.sns.sms_state import Phones
from broker.services.sns.state import Topics

SMS_CHARACTERS_MAX = 1_600
OPTED_OUT = "Phone number is opted out"


async def publish_to_phone(call: Call, number: str, draft: Draft) -> str:
    """The message's id. A phone that has opted out does not get it: what is recorded says so. Raises InvalidParameter."""
    if not PHONE_NUMBER.fullmatch(number):
        raise InvalidParameter(f"PhoneNumber Reason: {number} is not valid to publish to")
    text = _text(draft, "sms")
    if len(text) > SMS_CHARACTERS_MAX:
        raise InvalidParameter("Message too long")
    return await call.runtime.call(_to_phone, call, number, text, draft)


async def publish_to_endpoint(call: Call, endpoint_arn: str, draft: Draft) -> str:
    """The message's id. Raises InvalidParameter, EndpointDisabled, PlatformApplicationDisabled."""
    name, identifier = read_endpoint_arn(endpoint_arn, "TargetArn", region=call.region)
    return await call.runtime.call(_to_endpoint, call, name, identifier, draft)


def _text(draft: Draft, protocol: str) -> str:
    if draft.by_protocol is None:
        return draft.message
    return draft.by_protocol.get(protocol, draft.by_protocol["default"])


def _to_phone(call: Call, number: str, text: str, draft: Draft) -> str:
    if call.runtime.part(Phones).opted_out((call.account, call.region), number):
        return _record(call, call.account, "sms", number, text, draft, failure=OPTED_OUT)
    return _record(call, call.account, "sms", number, text, draft)


def _to_endpoint(call: Call, name: ApplicationName, identifier: str, draft: Draft) -> str:
    endpoint = call.runtime.part(Platforms).endpoint(name, identifier)
    if endpoint is None:
        raise InvalidParameter("TargetArn Reason: No endpoint found for the target arn specified")
    unreachable = endpoint.unreachable
    if unreachable is not None:
        raise (
            EndpointDisabled(unreachable) if endpoint.application.enabled else PlatformApplicationDisabled(unreachable)
        )
    return _record(call, name.account, "application", endpoint.arn, _text(draft, name.platform), draft)


def _record(
    call: Call, account: str, protocol: str, destination: str, text: str, draft: Draft, *, failure: str | None = None
) -> str:
    """Keep a message for looking at, or why it was not delivered; its id."""
    plan = Plan(call.runtime.part(Topics))
    message_id = call.runtime.chance.uuid()
    delivery = Delivery(
        status="captured" if failure is None else "FAILURE",
        protocol=protocol,
        destination=destination,
        message_id=message_id,
        timestamp=plan.now_ms,
        subject=draft.subject,
        payload=text,
        message_attributes=attribute_view(draft.attributes),
        provider_response=failure,
    )
    plan.record(account, call.region, delivery)
    plan.apply()
    return message_id
