"""What an account's SMS settings are in a region, which phones have opted out there, and which are in its sandbox.

A phone opts out through `Phones.opt_out`: on AWS its holder answers a message with STOP, and nobody holds a phone here.
"""

from typing import Final

import msgspec
from sortedcontainers import SortedDict

from broker.services.runtime import Runtime
from broker.services.sns.paging import page_after
from broker.store.base import Recovered

SETTINGS_KIND: Final = "sns-sms-attributes"
PHONE_KIND: Final = "sns-phone"
SANDBOX_KIND: Final = "sns-sandbox-phone"

_encoder = msgspec.json.Encoder()

Place = tuple[str, str]  # account, region


class SettingsRecord(msgspec.Struct):
    """An account's SMS attributes that were set."""

    place: Place
    attributes: dict[str, str]


class PhoneRecord(msgspec.Struct):
    """A phone that has opted out, or has once, by its number."""

    place: Place
    number: str
    opted_out: bool
    opted_in_at_ms: int = 0  # by OptInPhoneNumber; 0: never


class SandboxRecord(msgspec.Struct):
    """A phone in an account's sandbox."""

    place: Place
    number: str
    password: str  # the one-time password sent last
    verified: bool = False


_settings_decoder = msgspec.json.Decoder(SettingsRecord)
_phone_decoder = msgspec.json.Decoder(PhoneRecord)
_sandbox_decoder = msgspec.json.Decoder(SandboxRecord)


class Phones:
    """See the module's text. Every method is one part of a synchronous engine call."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._settings: dict[Place, SettingsRecord] = {}
        self._phones: dict[tuple[Place, str], PhoneRecord] = {}
        self._opted_out: dict[Place, SortedDict[str, PhoneRecord]] = {}  # by number
        self._sandboxes: dict[Place, SortedDict[str, SandboxRecord]] = {}  # by number

    # The state as a part of the runtime

    def recover(self, recovered: Recovered) -> None:
        for (kind, _), stored in recovered.resources.items():
            if kind == SETTINGS_KIND:
                settings = _settings_decoder.decode(stored)
                self._settings[settings.place] = settings
            elif kind == PHONE_KIND:
                self._enlist(_phone_decoder.decode(stored))
            elif kind == SANDBOX_KIND:
                number = _sandbox_decoder.decode(stored)
                self._sandboxes.setdefault(number.place, SortedDict())[number.number] = number

    def forget(self) -> None:
        for index in (self._settings, self._phones, self._opted_out, self._sandboxes):
            index.clear()

    def reset(self) -> None:
        batch = self.runtime.ledger.batch
        for place in self._settings:
            batch.delete_resource(SETTINGS_KIND, _key(place))
        for place, number in self._phones:
            batch.delete_resource(PHONE_KIND, _key(place, number))
        for place, numbers in self._sandboxes.items():
            for number in numbers:
                batch.delete_resource(SANDBOX_KIND, _key(place, number))
        self.forget()

    # Settings

    def settings(self, place: Place) -> dict[str, str]:
        """The SMS attributes that were set."""
        record = self._settings.get(place)
        return {} if record is None else record.attributes

    def set_settings(self, place: Place, attributes: dict[str, str]) -> None:
        """Replace them."""
        record = self._settings[place] = SettingsRecord(place, attributes)
        self.runtime.ledger.batch.put_resource(SETTINGS_KIND, _key(place), _encoder.encode(record))

    # Opting out

    def opted_out(self, place: Place, number: str) -> bool:
        """Whether the phone gets no messages of the account's."""
        return number in self._opted_out.get(place, ())

    def opted_out_after(self, place: Place, after: str, limit: int) -> list[PhoneRecord]:
        """Up to `limit` phones that have opted out, by number, with numbers > `after`."""
        return page_after(self._opted_out.get(place), after, limit)

    def opted_in_at_ms(self, place: Place, number: str) -> int | None:
        """When the phone was opted in last; None: never."""
        phone = self._phones.get((place, number))
        return phone.opted_in_at_ms or None if phone is not None else None

    def opt_out(self, place: Place, number: str) -> None:
        """The phone's holder wants no more messages of the account's."""
        before = self._phones.get((place, number))
        self._put(PhoneRecord(place, number, True, 0 if before is None else before.opted_in_at_ms))

    def opt_in(self, place: Place, number: str) -> None:
        """The account has opted the phone in."""
        self._put(PhoneRecord(place, number, False, self.runtime.ledger.now_ms()))

    # The sandbox

    def sandboxed(self, place: Place, number: str) -> SandboxRecord | None:
        """The phone of that number in the account's sandbox."""
        sandbox = self._sandboxes.get(place)
        return None if sandbox is None else sandbox.get(number)

    def sandboxed_after(self, place: Place, after: str, limit: int) -> list[SandboxRecord]:
        """Up to `limit` phones in the sandbox, by number, with numbers > `after`."""
        return page_after(self._sandboxes.get(place), after, limit)

    def sandbox_size(self, place: Place) -> int:
        """How many phones are in the sandbox."""
        return len(self._sandboxes.get(place, ()))

    def put_in_sandbox(self, record: SandboxRecord) -> None:
        """Add a phone, or replace what is known of it."""
        self._sandboxes.setdefault(record.place, SortedDict())[record.number] = record
        key = _key(record.place, record.number)
        self.runtime.ledger.batch.put_resource(SANDBOX_KIND, key, _encoder.encode(record))

    def take_from_sandbox(self, record: SandboxRecord) -> None:
        """Delete a phone from the sandbox."""
        del self._sandboxes[record.place][record.number]
        self.runtime.ledger.batch.delete_resource(SANDBOX_KIND, _key(record.place, record.number))

    def _put(self, phone: PhoneRecord) -> None:
        self._enlist(phone)
        key = _key(phone.place, phone.number)
        self.runtime.ledger.batch.put_resource(PHONE_KIND, key, _encoder.encode(phone))

    def _enlist(self, phone: PhoneRecord) -> None:
        self._phones[phone.place, phone.number] = phone
        opted_out = self._opted_out.setdefault(phone.place, SortedDict())
        if phone.opted_out:
            opted_out[phone.number] = phone
        else:
            opted_out.pop(phone.number, None)


def _key(place: Place, number: str = "") -> str:
    return "/".join((*place, number))
