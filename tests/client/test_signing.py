"""Signatures are those of botocore's own signer; credentials come from where AWS's tools look, and go nowhere else."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from client.client import Client
from client.errors import NoCredentials
from client.signing import Signer, is_aws
from tests.client.endpoint import Endpoint, answer

FORM = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.ListQueues"}
AWS = "https://sqs.eu-west-1.amazonaws.com/"
LOCAL = "http://127.0.0.1:4100/"


def authorization(
    url: str, body: bytes, signed: dict[str, str], credentials: Credentials, service: str, region: str
) -> str:
    """The Authorization header that botocore gives a request of the same date."""
    sent = {name: value for name, value in signed.items() if name.lower() not in ("authorization", "host")}
    request = AWSRequest("POST", url, headers=sent, data=body)
    request.context["timestamp"] = signed["X-Amz-Date"]
    signer = SigV4Auth(credentials, service, region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    names = signer.signed_headers(signer.headers_to_sign(request))
    signature = signer.signature(text, request)
    return f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={names}, Signature={signature}"


async def access_key(signer: Signer, url: str) -> str:
    signed = await signer.headers("sqs", url, b"{}", FORM)
    return signed["Authorization"].partition("Credential=")[2].partition("/")[0]


def anyone(region: str = "eu-west-1") -> Signer:
    return Signer(region, None, None, None)


@pytest.mark.parametrize(
    "url", [LOCAL, AWS, "http://localhost:80/", "https://localhost:443/", "http://[::1]:8/", "http://h/a/b%20c/"]
)
@pytest.mark.parametrize("token", [None, "session-token"])
@pytest.mark.parametrize(("service", "body"), [("sqs", b"{}"), ("sns", b"Action=ListTopics"), ("sqs", b"")])
async def test_a_signature_is_the_one_that_botocore_makes(
    url: str, token: str | None, service: str, body: bytes
) -> None:
    signer = Signer("eu-west-1", "AKID", "secret", token)
    for _ in range(2):
        signed = await signer.headers(service, url, body, FORM)
        credentials = Credentials("AKID", "secret", token)
        assert signed["Authorization"] == authorization(url, body, signed, credentials, service, "eu-west-1")
        assert signed.get("X-Amz-Security-Token") == token
        assert FORM.items() <= signed.items()


async def test_a_key_of_yesterday_signs_nothing_today(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer("eu-west-1", "AKID", "secret", None)
    for day in (1, 2):
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda day=day: datetime(2026, 1, day, 23, 59))
        signed = await signer.headers("sqs", LOCAL, b"{}", FORM)
        assert signed["X-Amz-Date"] == f"2026010{day}T235900Z"
        expected = authorization(LOCAL, b"{}", signed, Credentials("AKID", "secret"), "sqs", "eu-west-1")
        assert signed["Authorization"] == expected


@pytest.mark.parametrize("service", ["sqs", "sns"])
async def test_what_arrives_is_what_was_signed(endpoint: Endpoint, service: str) -> None:
    """Also the headers that the HTTP client writes: a Host that differs would be refused by AWS."""
    endpoint.says(answer(body=b"<ListTopicsResponse/>" if service == "sns" else b"{}"))
    async with Client(endpoint_url=endpoint.url, region="eu-west-1", access_key="AKID", secret_key="secret") as client:
        await client.call(service, "ListTopics" if service == "sns" else "ListQueues")
    (arrived,) = endpoint.arrived
    assert arrived.request.method == "POST"
    signed = {"X-Amz-Date": arrived.headers["x-amz-date"]} | {
        name: arrived.headers[name] for name in ("content-type", "x-amz-target") if name in arrived.headers
    }
    expected = authorization(
        endpoint.url + "/", arrived.body, signed, Credentials("AKID", "secret"), service, "eu-west-1"
    )
    assert arrived.headers["authorization"] == expected


@pytest.mark.parametrize(
    ("url", "aws"),
    [
        (AWS, True),
        ("https://sns.cn-north-1.amazonaws.com.cn/", True),
        ("https://sqs.eu-west-1.api.aws/", True),
        ("https://SQS.eu-west-1.AmazonAWS.com/", True),
        (LOCAL, False),
        ("https://amazonaws.com.example.org/", False),
        ("https://notamazonaws.com/", False),
    ],
)
def test_aws_is_known_by_its_names(url: str, aws: bool) -> None:
    assert is_aws(url) is aws


@pytest.mark.parametrize("url", [LOCAL, AWS])
async def test_given_credentials_come_before_the_environments(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FROMENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    given = Signer("eu-west-1", "GIVEN", "secret", None)
    assert await access_key(given, url) == "GIVEN"
    assert "X-Amz-Security-Token" not in await given.headers("sqs", url, b"", {})
    assert await access_key(anyone(), url) == "FROMENV"
    assert (await anyone().headers("sqs", url, b"", {}))["X-Amz-Security-Token"] == "token"


@pytest.mark.parametrize("url", [LOCAL, AWS])
async def test_credentials_are_read_from_the_users_file(url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "credentials").write_text(
        "[default]\naws_access_key_id = FROMFILE\naws_secret_access_key = s\n"
        "[other]\naws_access_key_id = OTHER\naws_secret_access_key = s\n"
    )
    assert await access_key(anyone(), url) == "FROMFILE"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")  # as good as not set
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert await access_key(anyone(), url) == "OTHER"


async def test_credentials_that_expire_soon_are_fetched_again(home: Path) -> None:
    reply = home / "reply.json"
    expires = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    (home / "config").write_text(f"[default]\ncredential_process = cat {reply}\n")
    signer = anyone()
    for key in ("FIRST", "SECOND"):
        said = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": "s", "SessionToken": key, "Expiration": expires}
        reply.write_text(json.dumps(said))
        signed = await signer.headers("sqs", AWS, b"", {})
        assert f"Credential={key}/" in signed["Authorization"]
        assert signed["X-Amz-Security-Token"] == key


async def test_an_endpoint_that_is_not_aws_is_called_without_credentials_too() -> None:
    assert await access_key(anyone(), LOCAL) == "000000000000"


async def test_the_metadata_service_is_not_asked_for_an_endpoint_that_is_not_aws(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.says(answer(404))
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.url)
    assert await access_key(anyone(), LOCAL) == "000000000000"
    assert not endpoint.arrived
    with pytest.raises(NoCredentials):
        await access_key(anyone(), AWS)
    assert endpoint.arrived


async def test_aws_is_not_called_without_credentials() -> None:
    async with Client(region="eu-west-1") as client:
        with pytest.raises(NoCredentials, match="AWS_ACCESS_KEY_ID"):
            await client.list_queues()


async def test_what_suits_a_local_endpoint_is_not_sent_to_aws() -> None:
    signer = anyone()
    assert await access_key(signer, LOCAL) == "000000000000"
    with pytest.raises(NoCredentials):
        await access_key(signer, AWS)
    assert await access_key(signer, LOCAL) == "000000000000"


async def test_what_botocore_cannot_find_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    with pytest.raises(NoCredentials, match="missing"):
        await access_key(anyone(), LOCAL)


EXPIRED = (
    r"echo {\"Version\":1,\"AccessKeyId\":\"k\",\"SecretAccessKey\":\"s\",\"Expiration\":\"2020-01-01T00:00:00Z\"}"
)


@pytest.mark.parametrize(
    ("process", "said"),
    [
        ("/missing/program", "/missing/program"),
        ("false", "custom-process"),
        ("echo no JSON", "Expecting value"),
        (EXPIRED, "still expired"),
    ],
)
async def test_it_is_said_why_a_process_brings_no_credentials(process: str, said: str, home: Path) -> None:
    (home / "config").write_text(f"[default]\ncredential_process = {process}\n")
    async with Client(region="eu-west-1") as client:
        with pytest.raises(NoCredentials, match=said):
            await client.list_queues()


@pytest.mark.parametrize(("key", "secret"), [("AKID", None), (None, "secret")])
def test_a_key_without_its_secret_is_refused(key: str | None, secret: str | None) -> None:
    with pytest.raises(NoCredentials, match="go together"):
        Client(endpoint_url=LOCAL, access_key=key, secret_key=secret)


async def test_without_botocore_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    with pytest.raises(NoCredentials, match=r"pombo\[client\]"):
        await access_key(anyone(), LOCAL)
