"""Publishing straight to a phone or to a device: there is neither here, so the message is captured."""

from broker.services.context import Call
from broker.services.sns.deliveries import Delivery
from broker.services.sns.endpoints import PHONE_NUMBER
from broker.services.sns.errors import InvalidParameter
from broker.services.sns.message_rules import Draft, attribute_view
from broker.services.sns.plan import Plan
from broker.services.sns.state import Topics

SMS_CHARACTERS_MAX = 1_600


async def publish_to_phone(call: Call, number: str, draft: Draft) -> str:
    """The message's id. Raises InvalidParameter."""
    if not PHONE_NUMBER.fullmatch(number):
        raise InvalidParameter(f"PhoneNumber Reason: {number} is not valid to publish to")
    text = draft.message if draft.by_protocol is None else draft.by_protocol.get("sms", draft.by_protocol["default"])
    if len(text) > SMS_CHARACTERS_MAX:
        raise InvalidParameter("Message too long")
    return await call.runtime.call(capture, call, "sms", number, text, draft)


def capture(call: Call, protocol: str, destination: str, text: str, draft: Draft) -> str:
    """Keep a message for looking at; its id."""
    plan = Plan(call.runtime.part(Topics))
    message_id = call.runtime.chance.uuid()
    delivery = Delivery(
        status="captured",
        protocol=protocol,
        destination=destination,
        message_id=message_id,
        timestamp=plan.now_ms,
        subject=draft.subject,
        payload=text,
        message_attributes=attribute_view(draft.attributes),
    )
    plan.record(call.account, call.region, delivery)
    plan.apply()
    return message_id


async def publish_to_endpoint(call: Call, endpoint_arn: str, draft: Draft) -> str:
    """The message's id. Raises InvalidParameter, EndpointDisabled, PlatformApplicationDisabled."""
    raise InvalidParameter("TargetArn Reason: No endpoint found for the target arn specified")
