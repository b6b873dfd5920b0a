"""What was made and changed is there after a restart, and what was deleted is not."""

from pathlib import Path
from typing import Any

import pytest

from broker.services.sns import push_state
from broker.services.sns.push_state import ENDPOINT_KIND
from broker.store.base import CommitFailed
from broker.store.batch import Batch
from tests.sns.inside import ACCOUNT, Inside, serve_inside
from tests.sns.platforms import CREDENTIALS
from tests.sqs.queues import refused

NUMBER = "+15550100123"
APPLICATION = f"arn:aws:sns:us-east-1:{ACCOUNT}:app/GCM/app"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"


async def everything(inside: Inside) -> dict[str, Any]:
    """What all reading operations answer."""
    replies = [
        await inside.ask("list_tags_for_resource", ResourceArn=TOPIC),
        await inside.ask("get_topic_attributes", TopicArn=TOPIC),
        await inside.ask("get_data_protection_policy", ResourceArn=TOPIC),
        await inside.ask("list_platform_applications"),
        await inside.ask("list_endpoints_by_platform_application", PlatformApplicationArn=APPLICATION),
        await inside.ask("get_sms_attributes"),
        await inside.ask("list_phone_numbers_opted_out"),
        await inside.ask("list_sms_sandbox_phone_numbers"),
    ]
    return {k: v for reply in replies for k, v in reply.items() if k != "ResponseMetadata"}


async def make(inside: Inside) -> None:
    await inside.ask("create_topic", Name="t", Tags=[{"Key": "team", "Value": "blue"}], DataProtectionPolicy="{}")
    await inside.ask("add_permission", TopicArn=TOPIC, Label="a", AWSAccountId=["222222222222"], ActionName=["Publish"])
    await inside.ask("create_platform_application", Name="app", Platform="GCM", Attributes=CREDENTIALS)
    await make_endpoint(inside, "one")
    await make_endpoint(inside, "two")
    await inside.ask("set_sms_attributes", attributes={"DefaultSenderID": "MyBrand"})
    await inside.opt_out(NUMBER)
    await inside.ask("create_sms_sandbox_phone_number", PhoneNumber=NUMBER + "1")


async def make_endpoint(inside: Inside, token: str) -> str:
    reply = await inside.ask("create_platform_endpoint", PlatformApplicationArn=APPLICATION, Token=token)
    return str(reply["EndpointArn"])


def endpoint_records(inside: Inside) -> int:
    return sum(kind == ENDPOINT_KIND for kind, _ in inside.broker.store.recover().resources)


async def test_all_of_it_is_there_after_a_restart(tmp_path: Path) -> None:
    async with serve_inside(tmp_path) as inside:
        await make(inside)
        before = await everything(inside)
    async with serve_inside(tmp_path) as inside:
        assert await everything(inside) == before
        assert await make_endpoint(inside, "one") in [e["EndpointArn"] for e in before["Endpoints"]]
        await inside.ask("create_platform_application", Name="app", Platform="GCM", Attributes=CREDENTIALS)


async def test_when_a_phone_was_opted_in_is_remembered(tmp_path: Path) -> None:
    async with serve_inside(tmp_path) as inside:
        await inside.opt_out(NUMBER)
        await inside.ask("opt_in_phone_number", phoneNumber=NUMBER)
        await inside.opt_out(NUMBER)
    async with serve_inside(tmp_path) as inside:
        assert await inside.opted_out(NUMBER)
        with refused("InvalidParameter"):
            await inside.ask("opt_in_phone_number", phoneNumber=NUMBER)
        assert await inside.opted_out(NUMBER)


async def test_a_deleted_applications_endpoints_leave_the_disk(tmp_path: Path) -> None:
    async with serve_inside(tmp_path) as inside:
        await make(inside)
        await inside.ask("delete_platform_application", PlatformApplicationArn=APPLICATION)
        await inside.ask("create_platform_application", Name="app", Platform="GCM", Attributes=CREDENTIALS)
        await make_endpoint(inside, "three")
        await inside.broker.runtime.quiet()
        assert endpoint_records(inside) == 1
    async with serve_inside(tmp_path) as inside:
        assert len((await everything(inside))["Endpoints"]) == 1


async def test_a_deletion_that_was_interrupted_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with serve_inside(tmp_path) as inside:
        await make(inside)
        inside.broker.runtime.start_job = lambda _job: None  # type: ignore[method-assign]
        await inside.ask("delete_platform_application", PlatformApplicationArn=APPLICATION)
        assert endpoint_records(inside) == 2
    async with serve_inside(tmp_path) as inside:
        await inside.broker.runtime.quiet()
        assert endpoint_records(inside) == 0


async def test_a_deletion_that_was_not_committed_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_state, "_SLICE", 1)
    async with serve_inside(tmp_path) as inside:
        await make(inside)
        store = inside.broker.store
        commit = store.commit

        def fail_once(batch: Batch) -> None:
            monkeypatch.setattr(store, "commit", commit)
            raise CommitFailed("the disk is full", disk_full=True)

        monkeypatch.setattr(store, "commit", fail_once)
        with refused("ServiceUnavailable", status=503):
            await inside.ask("delete_platform_application", PlatformApplicationArn=APPLICATION)
        assert len((await everything(inside))["Endpoints"]) == 2
        await inside.broker.runtime.quiet()
        assert endpoint_records(inside) == 2


async def test_a_reset_deletes_all_of_it(tmp_path: Path) -> None:
    async with serve_inside(tmp_path) as inside:
        await make(inside)
        await inside.away(inside.running.request_json, "POST", "/_pombo/reset", {})
        assert not await inside.opted_out(NUMBER)
        await inside.broker.runtime.quiet()
        kinds = {kind for kind, _ in inside.broker.store.recover().resources}
        assert not [kind for kind in kinds if kind.startswith("sns-") and kind != "sns-signing-key"]
