"""AWS JSON 1.0, byte by byte. Source: the AWS JSON protocol's description in Smithy; recorded replies."""

import json
import logging

import pytest

from broker.wire import router
from tests.wire.pigeons import REQUEST_ID, Ring, ask_json, seen


def test_a_reply_is_its_members_and_no_more() -> None:
    reply = ask_json(
        b'{"Name":"Ada","Count":3,"Rings":[{"Country":"BE","Chip":"AQI="}],"Labels":{"a":"b"},"Unknown":1}'
    )
    assert reply.status == 200
    assert reply.body == (
        b'{"Name":"Ada","Count":3,"Rings":[{"Country":"BE","Year":null,"Chip":"AQI="}],"Labels":{"a":"b"}}'
    )
    assert reply.headers == {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": REQUEST_ID}
    assert seen.request.rings == [Ring(country="BE", chip=b"\x01\x02")]


def test_an_empty_reply_is_an_empty_object() -> None:
    assert ask_json(b"", "Loft.Rest").body == b"{}"


def test_null_means_absent() -> None:
    assert ask_json(b'{"Name":"Ada","Count":null,"Labels":null}').body == b'{"Name":"Ada"}'


def test_an_error_names_its_shape_and_the_older_code() -> None:
    reply = ask_json(b'{"Name":"lost"}')
    assert reply.status == 400
    assert (
        reply.body
        == b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}'
    )
    assert reply.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert reply.headers["x-amzn-RequestId"] == REQUEST_ID


@pytest.mark.parametrize(
    ("body", "shape", "message"),
    [
        (b"{}", "MissingRequiredParameterException", "The request must contain the parameter Name."),
        (b'{"Name":null}', "MissingRequiredParameterException", "The request must contain the parameter Name."),
        (b'{"Name":"a","Rings":[{"Country":null}]}', "MissingRequiredParameterException", "the parameter Country."),
        (b'{"Name":"a","Friends":[null]}', "SerializationException", None),
        (b'{"Name":"a","Labels":{"a":null}}', "SerializationException", None),
        (b"null", "SerializationException", None),
        (b'{"Name":"a","Count":%s}' % (b"9" * 5_000), "SerializationException", "NUMBER_VALUE can not be converted"),
        (b'{"Name":"a","Friends":[%s"a"]}' % (b'"a",' * 50_000), "SerializationException", "more than 20000 strings"),
        (
            b'{"Name":"a","Friends":[%s"a"]}' % (b'"\\\\",' * 50_000),
            "SerializationException",
            "more than 20000 strings",
        ),
        (b'{"Name":1}', "SerializationException", "NUMBER_VALUE can not be converted to a String"),
        (b'{"Name":"a","Count":"1"}', "SerializationException", "STRING_VALUE can not be converted to an Integer"),
        (b'{"Name":"a","Count":{}}', "SerializationException", "Start of structure or map found where not expected."),
        (b'{"Name":"a","Rings":"x"}', "SerializationException", None),
        (
            b'{"Name":"a","Rings":[{"Country":"BE","Chip":"%"}]}',
            "SerializationException",
            "STRING_VALUE can not be converted to a Blob",
        ),
        (b'{"Name":', "SerializationException", None),
        (b"\xff\xfe", "SerializationException", None),
        (b'{"Name":"\xff"}', "SerializationException", None),
        (b"[" * 1_000_000, "SerializationException", None),
        (b'{"x":' * 200_000, "SerializationException", None),
        (b"1" * 100_000, "SerializationException", None),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, shape: str, message: str | None) -> None:
    seen.request = None
    reply = ask_json(body)
    assert reply.status == 400
    assert f"#{shape}".encode() in reply.body
    assert message is None or message.encode() in reply.body
    assert seen.request is None


@pytest.mark.parametrize("body", ["\\", '"', "\n", "é", '{"a": [1, 2, "b"]}'])
def test_a_large_body_full_of_escapes_is_read(body: str) -> None:
    name = body * 100_000
    reply = ask_json(json.dumps({"Name": name}).encode())
    assert reply.status == 200
    assert json.loads(reply.body)["Name"] == name


def test_a_large_reply_has_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"Name":"Ada","Count":3,"Rings":[{"Country":"BE","Chip":"AQI="},{"Country":"NL"}],"Labels":{"a":"b"}}'
    small = ask_json(body)
    monkeypatch.setattr(router, "OFF_LOOP_BYTES", 0)
    large = ask_json(body)
    assert (large.status, large.headers, large.body) == (small.status, small.headers, small.body)


@pytest.mark.parametrize("target", ["Loft.Roost", "Tower.Release", "", "Loft", "Loft.Release.Release"])
def test_an_unknown_target_is_refused(target: str) -> None:
    reply = ask_json(b"{}", target)
    assert reply.status == 400
    assert b"#UnknownOperationException" in reply.body


def test_a_bug_answers_500_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "pombo.wire"):
        reply = ask_json(b'{"Name":"bug"}')
    assert reply.status == 500
    assert b"#InternalFailure" in reply.body
    assert "ZeroDivisionError" in caplog.text


def test_a_queues_path_takes_json_too() -> None:
    assert ask_json(b'{"Name":"Ada"}', path="/000000000000/q").status == 200


@pytest.mark.parametrize(
    ("authorization", "account", "region", "principal"),
    [
        ("", "000000000000", "us-east-1", "000000000000"),
        (
            "AWS4-HMAC-SHA256 Credential=111122223333/20261124/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=x",
            "111122223333",
            "eu-west-1",
            "111122223333",
        ),
        ("AWS4-HMAC-SHA256 Credential=test/20261124/eu-west-1/sqs/aws4_request", "000000000000", "eu-west-1", "test"),
        ("Bearer nonsense", "000000000000", "us-east-1", "000000000000"),
        ("AWS4-HMAC-SHA256 Credential=////", "000000000000", "us-east-1", "000000000000"),
        (
            "AWS4-HMAC-SHA256 Credential=a\x00b/20261124/eu-west-1/sqs/aws4_request",
            "000000000000",
            "us-east-1",
            "000000000000",
        ),
    ],
)
def test_account_and_region_come_from_the_signature(
    authorization: str, account: str, region: str, principal: str
) -> None:
    ask_json(b'{"Name":"Ada"}', authorization=authorization)
    assert (seen.call.account, seen.call.region, seen.call.principal) == (account, region, principal)
