"""Nothing that a server loses, doubles or alters escapes the ledger, in either protocol."""

import hashlib
from xml.sax.saxutils import escape

import orjson
import pytest

from benchmarks.ledger import Ledger
from benchmarks.sqs_requests import Requests, body_of, requests_of

SIZE = 64


@pytest.fixture(params=["json", "query"])
def wire(request: pytest.FixtureRequest) -> Requests:
    return requests_of(request.param, "http://127.0.0.1:1")


def digest(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def sent(wire: Requests, number: int) -> bytes:
    found = digest(body_of(number, SIZE))
    if wire.name == "json":
        return orjson.dumps({"MD5OfMessageBody": found, "MessageId": "m"})
    return f"<R><MD5OfMessageBody>{found}</MD5OfMessageBody></R>".encode()


def received(wire: Requests, *bodies: bytes, md5: str | None = None) -> bytes:
    if wire.name == "json":
        found = [{"Body": b.decode(), "MD5OfBody": md5 or digest(b), "ReceiptHandle": 'h&"'} for b in bodies]
        return orjson.dumps({"Messages": found} if found else {})
    texts = [
        f'<Message><ReceiptHandle>h&amp;"</ReceiptHandle><MD5OfBody>{md5 or digest(b)}</MD5OfBody>'
        f"<Body>{escape(b.decode())}</Body></Message>"
        for b in bodies
    ]
    return f"<R>{''.join(texts)}</R>".encode()


def ledger_of(wire: Requests, count: int, *, copies: int = 1) -> Ledger:
    ledger = Ledger(wire, ["q"] * copies, SIZE, copies=copies)
    for _ in range(count):
        number = ledger.numbers(1)
        ledger.acknowledged(0, number, 1, sent(wire, number))
    return ledger


def take(ledger: Ledger, *bodies: bytes, md5: str | None = None) -> list[str]:
    ledger.claim(0, 1)
    return ledger.came(0, 1, received(ledger.wire, *bodies, md5=md5))


def test_what_came_as_it_was_sent_leaves_nothing(wire: Requests) -> None:
    ledger = ledger_of(wire, 2)
    assert take(ledger, body_of(1, SIZE)) == ['h&"']
    take(ledger, body_of(0, SIZE))
    assert ledger.check().as_dict() == {"sent": 2, "received": 2, "lost": 0, "doubled": 0, "altered": 0, "refused": 0}


def test_a_message_that_never_comes_is_lost(wire: Requests) -> None:
    ledger = ledger_of(wire, 2)
    take(ledger, body_of(1, SIZE))
    assert take(ledger) == []
    assert ledger.check().lost == 1


def test_a_message_that_comes_twice_is_doubled_and_hides_no_loss(wire: Requests) -> None:
    ledger = ledger_of(wire, 2)
    take(ledger, body_of(1, SIZE))
    take(ledger, body_of(1, SIZE))
    checked = ledger.check()
    assert (checked.lost, checked.doubled) == (1, 1)


@pytest.mark.parametrize(
    ("body", "md5"),
    [(body_of(0, SIZE)[:-1] + b"y", None), (body_of(0, SIZE), "0" * 32), (b"something else", None)],
    ids=["another body", "another MD5", "not ours"],
)
def test_another_body_or_md5_is_altered(wire: Requests, body: bytes, md5: str | None) -> None:
    ledger = ledger_of(wire, 1)
    take(ledger, body, md5=md5)
    assert ledger.check().altered == 1


def test_a_wrong_md5_of_a_send_is_altered(wire: Requests) -> None:
    ledger = Ledger(wire, ["q"], SIZE)
    ledger.acknowledged(0, ledger.numbers(1), 1, sent(wire, 7))
    assert ledger.check().altered == 1


def test_an_entry_that_failed_is_refused() -> None:
    wire = requests_of("json", "http://127.0.0.1:1")
    ledger = Ledger(wire, ["q"], SIZE)
    one = {"Id": "0", "MD5OfMessageBody": digest(body_of(0, SIZE))}
    ledger.acknowledged(0, ledger.numbers(2), 2, orjson.dumps({"Successful": [one], "Failed": [{"Id": "1"}]}))
    ledger.gone(10, orjson.dumps({"Successful": [], "Failed": [{"Id": "3"}]}))
    assert ledger.check().refused == 2


def test_a_published_message_is_expected_once_from_each_queue(wire: Requests) -> None:
    ledger = Ledger(wire, ["a", "b"], SIZE, copies=2)
    ledger.published(ledger.numbers(1))
    take(ledger, body_of(0, SIZE))
    assert ledger.check().lost == 1
    take(ledger, b'{"Message": "' + body_of(0, SIZE) + b'"}')
    assert ledger.check().lost == 0
