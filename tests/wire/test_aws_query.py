"""The Query protocol, byte by byte. Source: the awsQuery protocol's description in Smithy; recorded replies."""

from urllib.parse import quote

import pytest

from broker.wire.faults import MalformedInput
from broker.wire.query_form import parse_form
from tests.wire.pigeons import NAMESPACE, REQUEST_ID, Ring, ask_query, seen

VERSION = "Version=2026-11-24"
METADATA = f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"


def test_a_form_is_read_member_by_member() -> None:
    ask_query(
        f"Action=Release&{VERSION}&Name=Ada&Count=3&Fast=true"
        "&RingEntry.1.Country=BE&RingEntry.1.Year=2026&RingEntry.2.Country=NL&RingEntry.2.Chip=AQI%3D"
        "&Route.1=north&Route.2=south&Label.1.Key=a&Label.1.Value=b&Label.2.Key=c&Label.2.Value="
        "&Mark.1.Name=m&Mark.1.Value.Country=DE&Friends.member.1=Bob&Friends.member.2=Cy"
    )
    request = seen.request
    assert (request.name, request.count, request.fast) == ("Ada", 3, True)
    assert request.rings == [Ring(country="BE", year=2026), Ring(country="NL", chip=b"\x01\x02")]
    assert request.routes == ["north", "south"]
    assert request.labels == {"a": "b", "c": ""}
    assert request.marks == {"m": Ring(country="DE")}
    assert request.friends == ["Bob", "Cy"]


def test_a_single_element_needs_no_number() -> None:
    """As boto 2 sends `AttributeName` and `Attribute.Name`."""
    ask_query(
        f"Action=Release&{VERSION}&Name=Ada&Route=north&Friends=Bob&Label.Key=a&Label.Value=b"
        "&RingEntry.Country=BE&Mark.Name=m&Mark.Value.Country=DE"
    )
    request = seen.request
    assert request.routes == ["north"]
    assert request.friends == ["Bob"]
    assert request.labels == {"a": "b"}
    assert request.rings == [Ring(country="BE")]
    assert request.marks == {"m": Ring(country="DE")}


def test_names_that_mean_nothing_are_ignored() -> None:
    deep = ".".join("a" * 50)
    ask_query(
        f"Action=Release&{VERSION}&Name=Ada&Route.x=1&Route.1.y=2&Friends.0=z&{deep}=1&{'b.' * 500}=1&.=1&..=2&Labels=3"
    )
    assert seen.request.friends is None
    assert seen.request.labels is None


def test_a_query_string_that_is_not_utf_8_is_refused() -> None:
    reply = ask_query("", query_string="Action=\udcff", method="GET")
    assert reply.status == 400
    assert b"<Code>MalformedInput</Code>" in reply.body


def test_a_reply_is_an_xml_document_without_an_encoding() -> None:
    reply = ask_query(
        f"Action=Release&{VERSION}&Name=Ada&Count=3&RingEntry.1.Country=BE&RingEntry.1.Chip=AQI%3D"
        "&Label.1.Key=a&Label.1.Value=b&Friends.member.1=Bob"
    )
    assert reply.status == 200
    assert reply.headers == {"Content-Type": "text/xml", "x-amzn-RequestId": REQUEST_ID}
    assert reply.body.decode() == (
        f'<?xml version="1.0"?><ReleaseResponse xmlns="{NAMESPACE}"><ReleaseResult><Name>Ada</Name><Count>3</Count>'
        "<RingEntry><Country>BE</Country><Chip>AQI=</Chip></RingEntry>"
        "<Label><Key>a</Key><Value>b</Value></Label><Friends><member>Bob</member></Friends>"
        f"</ReleaseResult>{METADATA}</ReleaseResponse>"
    )


def test_an_operation_without_a_reply_has_no_result_element() -> None:
    reply = ask_query(f"Action=Rest&{VERSION}")
    assert reply.body.decode() == f'<?xml version="1.0"?><RestResponse xmlns="{NAMESPACE}">{METADATA}</RestResponse>'


def test_text_is_escaped_and_a_carriage_return_is_a_reference() -> None:
    reply = ask_query(f"Action=Release&{VERSION}&Name=" + quote('<a & "b">\r\n\té'))
    assert "<Name>&lt;a &amp; &quot;b&quot;&gt;&#xD;\n\té</Name>".encode() in reply.body


def test_an_error_is_an_error_response() -> None:
    reply = ask_query(f"Action=Release&{VERSION}&Name=lost")
    assert reply.status == 400
    assert reply.body.decode() == (
        f'<?xml version="1.0"?><ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type>'
        "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>"
        "<Message>The specified queue does not exist for this wsdl version.</Message><Detail/></Error>"
        f"<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    )


def test_what_xml_cannot_hold_is_replaced_in_an_errors_text() -> None:
    assert (
        b"<Message>Value &lt;&amp;?&gt; for parameter Name is invalid.</Message>"
        in ask_query(f"Action=Release&{VERSION}&Name=odd").body
    )


def test_get_takes_the_query_string() -> None:
    assert ask_query("", query_string=f"Action=Release&{VERSION}&Name=Ada", method="GET").status == 200


def test_without_a_queue_url_the_path_is_the_queue() -> None:
    ask_query(f"Action=Release&{VERSION}&Name=Ada", path="/000000000000/q")
    assert seen.request.queue_url == "http://localhost:4566/000000000000/q"
    ask_query(f"Action=Release&{VERSION}&Name=Ada&QueueUrl=x", path="/000000000000/q")
    assert seen.request.queue_url == "x"


@pytest.mark.parametrize(
    ("form", "path", "code"),
    [
        (VERSION, "/", "MissingAction"),
        ("", "/", "MissingAction"),
        (f"Action=Roost&{VERSION}", "/", "InvalidAction"),
        ("Action=Release&Version=1999-01-01&Name=a", "/", "InvalidAction"),
        (f"Action=Rest&{VERSION}", "/000000000000/q", "InvalidAction"),
        (f"Action=Rest&{VERSION}", "/queue/us-east-1/000000000000/q", "InvalidAction"),
        (f"Action=Release&{VERSION}", "/", "MissingParameter"),
        (f"Action=Release&{VERSION}&Name=a&Count=x", "/", "InvalidParameterValue"),
        (f"Action=Release&{VERSION}&Name=a&Count={'9' * 5000}", "/", "InvalidParameterValue"),
        *((f"Action=Release&{VERSION}&Name=a&Count={n}", "/", "InvalidParameterValue") for n in ("1_0", "%201", "1.5")),
        (f"Action=Release&{VERSION}&Name=a&Fast=maybe", "/", "InvalidParameterValue"),
        (f"Action=Release&{VERSION}&Name=a&RingEntry.1.Country=BE&RingEntry.1.Chip=!!", "/", "MalformedInput"),
        (f"Action=Release&{VERSION}&Name=a&RingEntry.1.Year=2026", "/", "MissingParameter"),
        (f"Action=Release&{VERSION}&Name=%ff", "/", "MalformedInput"),
        ("&".join(f"a{n}=1" for n in range(20_000)), "/", "MalformedInput"),
    ],
)
def test_what_cannot_be_read_is_refused(form: str, path: str, code: str) -> None:
    seen.request = None
    reply = ask_query(form, path=path)
    assert reply.status == 400
    assert f"<Code>{code}</Code>".encode() in reply.body
    assert seen.request is None


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (b"a=b&c=d", {"a": "b", "c": "d"}),
        (b"a=b=c&d", {"a": "b=c", "d": ""}),
        (b"a=1&a=2&&", {"a": "2"}),
        (b"a+b=c+d%2B", {"a b": "c d+"}),
        (b"a=%C3%A9%5C%5cx41%00", {"a": "é\\\\x41\x00"}),
        (b"a=100%", {"a": "100%"}),
        (b"a=%zz%41", {"a": "%zzA"}),
        (b"a=\\n\\x41%0A", {"a": "\\n\\x41\n"}),
        ("a=é".encode(), {"a": "é"}),
        (b"", {}),
    ],
)
def test_a_form_is_unescaped_as_browsers_escape_it(raw: bytes, form: dict[str, str]) -> None:
    assert parse_form(raw) == form


@pytest.mark.parametrize(
    "raw", [b"a=" + b"%" * 100_000, b"&".join(b"a%d=%%zz%%41" % n for n in range(1_000))], ids=["in one", "in many"]
)
def test_a_form_of_stray_escapes_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedInput):
        parse_form(raw)


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("text", ["é", "\\", "a+b", "%41"])
def test_a_long_value_is_unescaped_like_a_short_one(text: str, shift: int) -> None:
    value = "x" * shift + text * 600_000
    assert parse_form(f"a={quote(value)}".encode()) == {"a": value}
