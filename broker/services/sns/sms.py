"""SMS settings and opting out: Get/SetSMSAttributes, CheckIfPhoneNumberIsOptedOut, ListPhoneNumbersOptedOut, OptInPhoneNumber.

No message leaves to a phone from here: the settings are checked, kept and returned. Source: SNS API Reference, SetSMSAttributes,
OptInPhoneNumber. These operations' members are the only ones of SNS that are spelt with a small first letter.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from broker.services.context import Call
from broker.services.sns.endpoints import PHONE_NUMBER
from broker.services.sns.errors import InvalidParameter
from broker.services.sns.paging import PAGE, cut_page, read_token
from broker.services.sns.service import SERVICE, EmptyResult
from broker.services.sns.sms_state import Phones, Place

OPT_IN_MS: Final = 30 * 86_400_000
_DEFAULTS: Final = {"MonthlySpendLimit": "1"}  # of an account that has asked for no more


def _matching(form: str) -> Callable[[str], bool]:
    compiled = re.compile(form)
    return lambda value: compiled.fullmatch(value) is not None


_CHECKS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "MonthlySpendLimit": (_matching(r"[0-9]{1,9}"), "an amount in whole US dollars"),
    "DeliveryStatusIAMRole": (_matching(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/.+"), "the ARN of a role"),
    "DeliveryStatusSuccessSamplingRate": (_matching(r"100|[0-9]{1,2}"), "an integer from 0 to 100"),
    "DefaultSenderID": (
        _matching(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,11}"),
        "1 to 11 alphanumeric characters with at least one letter",
    ),
    "DefaultSMSType": (_matching(r"Promotional|Transactional"), "Promotional or Transactional"),
    "UsageReportS3Bucket": (_matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"), "the name of a bucket"),
}


class SetSMSAttributesRequest(msgspec.Struct):
    attributes: dict[str, str]


@SERVICE.operation("SetSMSAttributes", SetSMSAttributesRequest, EmptyResult, at_queue=False)
async def set_sms_attributes(call: Call, request: SetSMSAttributesRequest) -> EmptyResult:
    """Set some of the account's SMS settings; an empty value takes one away."""
    for name, value in request.attributes.items():
        if name not in _CHECKS:
            raise InvalidParameter(f"attributes Reason: Unknown attribute {name}")
        fits, expected = _CHECKS[name]
        if value and not fits(value):
            raise InvalidParameter(f"{name} Reason: [{value[:256]}] is not {expected}")
    await call.runtime.call(_set, call.runtime.part(Phones), (call.account, call.region), request.attributes)
    return EmptyResult()


class GetSMSAttributesRequest(msgspec.Struct):
    attributes: list[str] | None = None


class GetSMSAttributesResult(msgspec.Struct):
    attributes: dict[str, str]


@SERVICE.operation("GetSMSAttributes", GetSMSAttributesRequest, GetSMSAttributesResult, at_queue=False)
async def get_sms_attributes(call: Call, request: GetSMSAttributesRequest) -> GetSMSAttributesResult:
    """The account's SMS settings, or the named ones of them. One that has neither a value nor a default is absent."""
    phones = call.runtime.part(Phones)
    settings = _DEFAULTS | await call.runtime.call(phones.settings, (call.account, call.region))
    if request.attributes:
        settings = {name: value for name, value in settings.items() if name in request.attributes}
    return GetSMSAttributesResult(settings)


class PhoneNumberRequest(msgspec.Struct, rename="camel"):
    phone_number: str


class CheckIfPhoneNumberIsOptedOutResult(msgspec.Struct, rename="camel"):
    is_opted_out: bool


@SERVICE.operation(
    "CheckIfPhoneNumberIsOptedOut", PhoneNumberRequest, CheckIfPhoneNumberIsOptedOutResult, at_queue=False
)
async def check_if_phone_number_is_opted_out(
    call: Call, request: PhoneNumberRequest
) -> CheckIfPhoneNumberIsOptedOutResult:
    """Whether the phone's holder wants no messages of the account's."""
    number = _number(request)
    phones = call.runtime.part(Phones)
    opted_out = await call.runtime.call(phones.opted_out, (call.account, call.region), number)
    return CheckIfPhoneNumberIsOptedOutResult(opted_out)


class ListPhoneNumbersOptedOutRequest(msgspec.Struct, rename="camel"):
    next_token: str | None = None


class ListPhoneNumbersOptedOutResult(msgspec.Struct, rename="camel", kw_only=True):
    phone_numbers: list[str]
    next_token: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation(
    "ListPhoneNumbersOptedOut", ListPhoneNumbersOptedOutRequest, ListPhoneNumbersOptedOutResult, at_queue=False
)
async def list_phone_numbers_opted_out(
    call: Call, request: ListPhoneNumbersOptedOutRequest
) -> ListPhoneNumbersOptedOutResult:
    """The phones that want no messages of the account's, by number, 100 at a time."""
    after = read_token(request.next_token, "nextToken")
    phones = call.runtime.part(Phones)
    found = await call.runtime.call(phones.opted_out_after, (call.account, call.region), after, PAGE + 1)
    page, next_token = cut_page(found, lambda phone: phone.number)
    return ListPhoneNumbersOptedOutResult(phone_numbers=[phone.number for phone in page], next_token=next_token)


@SERVICE.operation("OptInPhoneNumber", PhoneNumberRequest, EmptyResult, at_queue=False)
async def opt_in_phone_number(call: Call, request: PhoneNumberRequest) -> EmptyResult:
    """Let messages reach a phone again that had opted out; once in 30 days. One that had not stays as it is."""
    await call.runtime.call(_opt_in, call.runtime.part(Phones), (call.account, call.region), _number(request))
    return EmptyResult()


def _number(request: PhoneNumberRequest) -> str:
    if not PHONE_NUMBER.fullmatch(request.phone_number):
        raise InvalidParameter("PhoneNumber Reason: input incorrectly formatted")
    return request.phone_number


def _set(phones: Phones, place: Place, given: dict[str, str]) -> None:
    together = phones.settings(place) | given
    phones.set_settings(place, {name: value for name, value in together.items() if value})


def _opt_in(phones: Phones, place: Place, number: str) -> None:
    if not phones.opted_out(place, number):
        return
    before_ms = phones.opted_in_at_ms(place, number)
    if before_ms is not None and phones.runtime.ledger.now_ms() < before_ms + OPT_IN_MS:
        raise InvalidParameter("PhoneNumber Reason: a phone number can be opted in only once every 30 days")
    phones.opt_in(place, number)
