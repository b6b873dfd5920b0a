"""The SMS sandbox: phone numbers that an account may try SMS with, verified by a one-time password; and origination numbers.

No account is in the sandbox here: every number can be sent to, as every message is captured, the one with the password too.
Source: SNS API Reference; Developer Guide, "SMS sandbox".
"""

import re
from typing import Final, Literal, get_args

import msgspec

from broker.services.context import Call
from broker.services.sns.deliveries import Delivery
from broker.services.sns.endpoints import PHONE_NUMBER
from broker.services.sns.errors import (
    InvalidParameter,
    OptedOut,
    ResourceNotFound,
    UserError,
    ValidationError,
    VerificationFailed,
)
from broker.services.sns.paging import cut_page, read_token
from broker.services.sns.plan import Plan
from broker.services.sns.service import SERVICE, EmptyResult
from broker.services.sns.sms_state import Phones, Place, SandboxRecord
from broker.services.sns.state import Topics

NUMBERS_MAX: Final = 10  # in one account's sandbox
_NUMBER_MAX: Final = 20
_NUMBER_FORM: Final = r"^(\+[0-9]{8,}|[0-9]{0,9})$"
_NUMBER: Final = re.compile(_NUMBER_FORM)
_PASSWORD: Final = re.compile(r"[0-9]+")
_PASSWORD_SIZES: Final = range(5, 9)
_PAGE_MAX: Final = 100
_ORIGINATION_PAGE_MAX: Final = 30

Language = Literal[
    "en-US", "en-GB", "es-419", "es-ES", "de-DE", "fr-CA", "fr-FR", "it-IT", "ja-JP", "pt-BR", "kr-KR", "zh-CN", "zh-TW"
]


class CreateSMSSandboxPhoneNumberRequest(msgspec.Struct, rename="pascal", kw_only=True):
    phone_number: str
    language_code: str | None = None


@SERVICE.operation("CreateSMSSandboxPhoneNumber", CreateSMSSandboxPhoneNumberRequest, EmptyResult, at_queue=False)
async def create_sms_sandbox_phone_number(call: Call, request: CreateSMSSandboxPhoneNumberRequest) -> EmptyResult:
    """Put a phone into the sandbox and send it a one-time password; one that waits to be verified gets another."""
    number = _number(request.phone_number)
    language = request.language_code
    if language is not None and language not in get_args(Language):
        allowed = ", ".join(sorted(get_args(Language)))
        raise ValidationError("languageCode", language[:20], f"satisfy enum value set: [{allowed}]")
    await call.runtime.call(_create, call, number)
    return EmptyResult()


class VerifySMSSandboxPhoneNumberRequest(msgspec.Struct, rename="pascal", kw_only=True):
    phone_number: str
    one_time_password: str


@SERVICE.operation("VerifySMSSandboxPhoneNumber", VerifySMSSandboxPhoneNumberRequest, EmptyResult, at_queue=False)
async def verify_sms_sandbox_phone_number(call: Call, request: VerifySMSSandboxPhoneNumberRequest) -> EmptyResult:
    """Verify a phone by the one-time password that it was sent last."""
    number = _number(request.phone_number)
    password = request.one_time_password
    _check_size("oneTimePassword", password, len(password), _PASSWORD_SIZES, "length ")
    if not _PASSWORD.fullmatch(password):
        raise ValidationError("oneTimePassword", password, "satisfy regular expression pattern: ^[0-9]+$")
    await call.runtime.call(_verify, call.runtime.part(Phones), (call.account, call.region), number, password)
    return EmptyResult()


class SandboxPhoneNumberRequest(msgspec.Struct, rename="pascal"):
    phone_number: str


@SERVICE.operation("DeleteSMSSandboxPhoneNumber", SandboxPhoneNumberRequest, EmptyResult, at_queue=False)
async def delete_sms_sandbox_phone_number(call: Call, request: SandboxPhoneNumberRequest) -> EmptyResult:
    """Take a phone out of the sandbox, verified or not."""
    number = _number(request.phone_number)
    phones = call.runtime.part(Phones)
    place = (call.account, call.region)
    await call.runtime.call(lambda: phones.take_from_sandbox(_find(phones, place, number)))
    return EmptyResult()


class PageRequest(msgspec.Struct, rename="pascal", kw_only=True):
    next_token: str | None = None
    max_results: int | None = None


class SMSSandboxPhoneNumber(msgspec.Struct, rename="pascal"):
    phone_number: str
    status: Literal["Pending", "Verified"]


class ListSMSSandboxPhoneNumbersResult(msgspec.Struct, rename="pascal", kw_only=True):
    phone_numbers: list[SMSSandboxPhoneNumber]
    next_token: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("ListSMSSandboxPhoneNumbers", PageRequest, ListSMSSandboxPhoneNumbersResult, at_queue=False)
async def list_sms_sandbox_phone_numbers(call: Call, request: PageRequest) -> ListSMSSandboxPhoneNumbersResult:
    """The phones in the account's sandbox, by number."""
    size = _page_size(request, _PAGE_MAX)
    after = read_token(request.next_token)
    phones = call.runtime.part(Phones)
    found = await call.runtime.call(phones.sandboxed_after, (call.account, call.region), after, size + 1)
    page, next_token = cut_page(found, lambda phone: phone.number, size)
    return ListSMSSandboxPhoneNumbersResult(
        phone_numbers=[SMSSandboxPhoneNumber(p.number, "Verified" if p.verified else "Pending") for p in page],
        next_token=next_token,
    )


class GetSMSSandboxAccountStatusRequest(msgspec.Struct):
    pass


class GetSMSSandboxAccountStatusResult(msgspec.Struct, rename="pascal"):
    is_in_sandbox: bool


@SERVICE.operation(
    "GetSMSSandboxAccountStatus",
    GetSMSSandboxAccountStatusRequest,
    GetSMSSandboxAccountStatusResult,
    at_queue=False,
)
async def get_sms_sandbox_account_status(
    _call: Call, _request: GetSMSSandboxAccountStatusRequest
) -> GetSMSSandboxAccountStatusResult:
    """No account is held in the sandbox."""
    return GetSMSSandboxAccountStatusResult(False)


class PhoneNumberInformation(msgspec.Struct, rename="pascal", kw_only=True):
    created_at: str
    phone_number: str
    status: str
    iso2_country_code: str = msgspec.field(name="Iso2CountryCode")
    route_type: Literal["Transactional", "Promotional", "Premium"]
    number_capabilities: list[Literal["SMS", "MMS", "VOICE"]]


class ListOriginationNumbersResult(msgspec.Struct, rename="pascal", kw_only=True):
    next_token: str | msgspec.UnsetType = msgspec.UNSET
    phone_numbers: list[PhoneNumberInformation]


@SERVICE.operation("ListOriginationNumbers", PageRequest, ListOriginationNumbersResult, at_queue=False)
async def list_origination_numbers(_call: Call, request: PageRequest) -> ListOriginationNumbersResult:
    """Numbers that messages come from: an account has none here."""
    _page_size(request, _ORIGINATION_PAGE_MAX)
    read_token(request.next_token)
    return ListOriginationNumbersResult(phone_numbers=[])


def _number(given: str) -> str:
    if len(given) > _NUMBER_MAX:
        raise ValidationError("phoneNumber", given[:64], f"have length less than or equal to {_NUMBER_MAX}")
    if not _NUMBER.fullmatch(given):
        raise ValidationError("phoneNumber", given, f"satisfy regular expression pattern: {_NUMBER_FORM}")
    if not PHONE_NUMBER.fullmatch(given):
        raise InvalidParameter("PhoneNumber Reason: input incorrectly formatted")
    return given


def _page_size(request: PageRequest, largest: int) -> int:
    if request.max_results is None:
        return largest
    size = request.max_results
    _check_size("maxResults", str(size), size, range(1, largest + 1), "value ")
    return size


def _check_size(member: str, shown: str, size: int, allowed: range, measure: str) -> None:
    if size < allowed[0]:
        raise ValidationError(member, shown[:64], f"have {measure}greater than or equal to {allowed[0]}")
    if size > allowed[-1]:
        raise ValidationError(member, shown[:64], f"have {measure}less than or equal to {allowed[-1]}")


def _create(call: Call, number: str) -> None:
    phones = call.runtime.part(Phones)
    place = (call.account, call.region)
    existing = phones.sandboxed(place, number)
    if phones.opted_out(place, number):
        raise OptedOut(f"The phone number {number} is opted out")
    if existing is not None and existing.verified:
        raise UserError(f"The phone number {number} is already verified")
    if existing is None and phones.sandbox_size(place) >= NUMBERS_MAX:
        raise UserError(f"A sandbox can have {NUMBERS_MAX} phone numbers")
    password = f"{int.from_bytes(call.runtime.chance.token()) % 1_000_000:06d}"
    plan = Plan(call.runtime.part(Topics))
    delivery = Delivery(
        status="captured",
        protocol="sms",
        destination=number,
        message_id=call.runtime.chance.uuid(),
        timestamp=plan.now_ms,
        payload=f"Your verification code is {password}",
    )
    plan.record(*place, delivery)
    plan.apply()
    phones.put_in_sandbox(SandboxRecord(place, number, password))


def _find(phones: Phones, place: Place, number: str) -> SandboxRecord:
    record = phones.sandboxed(place, number)
    if record is None:
        raise ResourceNotFound(f"The phone number {number} is not in the SMS sandbox")
    return record


def _verify(phones: Phones, place: Place, number: str, password: str) -> None:
    record = _find(phones, place, number)
    if password != record.password:
        raise VerificationFailed("The one-time password is not the one that was sent to the phone number")
    if not record.verified:
        phones.put_in_sandbox(SandboxRecord(place, number, record.password, verified=True))
