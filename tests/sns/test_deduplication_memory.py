"""What FIFO topics remember for five minutes has its share of the memory budget: it leaves memory, and holds all the same."""

from pathlib import Path

from tests.sns.inside import Inside, serve_inside

BUDGET_BYTES = 50_000


async def topic(inside: Inside, name: str) -> str:
    reply = await inside.ask("create_topic", Name=f"{name}.fifo", Attributes={"FifoTopic": "true"})
    return str(reply["TopicArn"])


async def publish(inside: Inside, arn: str, deduplication_id: str) -> str:
    reply = await inside.ask(
        "publish", TopicArn=arn, Message="m", MessageGroupId="g", MessageDeduplicationId=deduplication_id
    )
    return str(reply["MessageId"])


async def test_it_leaves_memory_and_holds_also_across_a_restart(tmp_path: Path) -> None:
    async with serve_inside(tmp_path) as inside:
        ledger = inside.broker.runtime.ledger
        ledger.memory_bytes_max = BUDGET_BYTES
        topics = [await topic(inside, f"t{n}") for n in range(12)]
        firsts = [await publish(inside, arn, "first") for arn in topics]
        assert 0 < ledger.memory_bytes <= BUDGET_BYTES
        assert [await publish(inside, arn, "first") for arn in topics] == firsts
        assert 0 < ledger.memory_bytes <= BUDGET_BYTES
    async with serve_inside(tmp_path) as inside:
        assert [await publish(inside, arn, "first") for arn in topics] == firsts
        await inside.advance(300)
        assert await publish(inside, topics[0], "first") != firsts[0]


async def test_it_is_given_back_with_its_topic() -> None:
    async with serve_inside() as inside:
        runtime = inside.broker.runtime
        for delete in (True, False):
            arn = await topic(inside, "t")
            await publish(inside, arn, "first")
            assert runtime.ledger.memory_bytes > 0
            if delete:
                await inside.ask("delete_topic", TopicArn=arn)
            else:
                await runtime.reset()
            assert runtime.ledger.memory_bytes == 0
