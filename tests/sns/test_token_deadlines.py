"""A subscription that waits to be confirmed costs one deadline, however often its endpoint is asked."""

from tests.sns.inside import serve_inside


async def test_asking_again_adds_no_deadline() -> None:
    async with serve_inside() as inside:
        topic = (await inside.ask("create_topic", Name="t"))["TopicArn"]
        deadlines = inside.broker.runtime.deadlines

        async def ask() -> int:
            await inside.ask("subscribe", TopicArn=topic, Protocol="email", Endpoint="a@example.com")
            return len(deadlines._heap)

        first = await ask()
        assert [await ask() for _ in range(5)] == [first] * 5
        await inside.advance(2 * 86_400)
        assert (await inside.ask("list_subscriptions_by_topic", TopicArn=topic))["Subscriptions"] == []
