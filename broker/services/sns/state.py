"""The topics and subscriptions of a broker by name, and their records in the store."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

import msgspec
from sortedcontainers import SortedDict

from broker.core.engine import Engine
from broker.services.runtime import Runtime
from broker.services.sns.errors import NotFound
from broker.services.sns.names import TopicName
from broker.services.sns.paging import page_after
from broker.services.sns.records import SubscriptionRecord, TopicRecord
from broker.services.sns.topic import Subscription, Topic
from broker.store.base import Recovered

TOPIC_KIND: Final = "sns-topic"
SUBSCRIPTION_KIND: Final = "sns-subscription"
TOKEN_MS: Final = 2 * 86_400_000  # two days
_ALL_ENTRIES: Final = 1 << 60

_encoder = msgspec.json.Encoder()
_topic_decoder = msgspec.json.Decoder(TopicRecord)
_subscription_decoder = msgspec.json.Decoder(SubscriptionRecord)

Place = tuple[str, str]  # account, region


class Topics:
    """See the module's text. Every method is one part of a synchronous engine call."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.outbox_filled: Callable[[Subscription], None] = lambda _subscription: None
        self.mail_leaves = False  # whether e-mail is sent; else it is captured
        self.by_name: dict[TopicName, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}  # by ARN; without those that have ended
        self.ended: dict[str, Subscription] = {}
        self.by_token: dict[str, Subscription] = {}
        # Made when needed: an index costs more than an entry in it.
        self._names: defaultdict[Place, SortedDict[str, Topic]] = defaultdict(SortedDict)
        self._owned: defaultdict[Place, SortedDict[str, Subscription]] = defaultdict(
            SortedDict
        )  # by subscriber's account
        self._of_topic: defaultdict[TopicName, SortedDict[str, Subscription]] = defaultdict(SortedDict)
        self._places: dict[tuple[TopicName, str, str], Subscription] = {}  # topic, protocol, endpoint
        # Who has a filter policy, by the topic's account
        self._filtering: defaultdict[str, set[str]] = defaultdict(set)

    @property
    def engine(self) -> Engine:
        return self.runtime.engine

    # The state as a part of the runtime

    def recover(self, recovered: Recovered) -> None:
        for (kind, _), stored in recovered.resources.items():
            if kind == TOPIC_KIND:
                self._enlist(Topic(_topic_decoder.decode(stored), self.engine.ledger, new=False))
        for (kind, _), stored in recovered.resources.items():
            if kind == SUBSCRIPTION_KIND:
                record = _subscription_decoder.decode(stored)
                subscription = Subscription(record, self.by_name.get(record.topic))
                self._attach(subscription)
                if record.token:
                    self._expect(subscription)

    def forget(self) -> None:
        for index in (
            self.by_name,
            self.subscriptions,
            self.ended,
            self.by_token,
            self._names,
            self._owned,
            self._of_topic,
            self._places,
            self._filtering,
        ):
            index.clear()

    def reset(self) -> None:
        # The engine deletes every queue, outboxes and archives among them.
        batch = self.engine.ledger.batch
        for topic in self.by_name.values():
            self._delete_record(topic)
        for arn in chain(self.subscriptions, self.ended):
            batch.delete_resource(SUBSCRIPTION_KIND, arn)
        self.forget()

    # Topics

    def find(self, name: TopicName) -> Topic:
        """Raises NotFound."""
        topic = self.by_name.get(name)
        if topic is None:
            raise NotFound("Topic does not exist")
        return topic

    def create_topic(self, name: TopicName, attributes: dict[str, str], tags: dict[str, str]) -> Topic:
        """A new topic; the caller has seen that there is none of this name."""
        assert name not in self.by_name
        ledger = self.engine.ledger
        ledger.reserve(1)
        record = TopicRecord(name, ledger.next_sequence(), ledger.now_ms(), attributes, tags)
        topic = Topic(record, ledger, new=True)
        self._enlist(topic)
        self.record_topic(topic)
        return topic

    def record_topic(self, topic: Topic) -> None:
        """The topic's record has changed."""
        self.engine.ledger.batch.put_resource(TOPIC_KIND, topic.arn, _encoder.encode(topic.record))

    def delete_topic(self, topic: Topic) -> None:
        """Delete a topic with its subscriptions, its archive, and what waits to leave."""
        for subscription in list(topic.subscriptions.values()):
            self.detach(subscription)
            self.bury(subscription)
        archive = self.engine.find_internal_queue(topic.archive_queue)
        if archive is not None:
            self.engine.delete_queue(archive)
        del self.by_name[topic.name]
        del self._names[topic.name.account, topic.name.region][topic.name.name]
        self._of_topic.pop(topic.name, None)
        self._delete_record(topic)

    def _delete_record(self, topic: Topic) -> None:
        batch = self.engine.ledger.batch
        batch.delete_resource(TOPIC_KIND, topic.arn)
        topic.deduplication.unload()
        self.engine.usage.discard(topic.deduplication)
        if topic.fifo:
            batch.forget_deduplication(topic.record.number, _ALL_ENTRIES)

    def topics_after(self, place: Place, after: str, limit: int) -> list[Topic]:
        """Up to `limit` topics of an account in a region, by name, with names > `after`."""
        return page_after(self._names.get(place), after, limit)

    # Subscriptions

    def find_subscription(self, arn: str) -> Subscription:
        """Raises NotFound."""
        subscription = self.subscriptions.get(arn)
        if subscription is None:
            raise NotFound("Subscription does not exist")
        return subscription

    def at_place(self, topic: Topic, protocol: str, endpoint: str) -> Subscription | None:
        """The topic's subscription of this endpoint."""
        return self._places.get((topic.name, protocol, endpoint))

    def add_subscription(self, topic: Topic, record: SubscriptionRecord) -> Subscription:
        """A new subscription, checked by the caller."""
        subscription = Subscription(record, topic)
        self._attach(subscription)
        self.record_subscription(subscription)
        return subscription

    def record_subscription(self, subscription: Subscription) -> None:
        """The subscription's record has changed."""
        batch = self.engine.ledger.batch
        batch.put_resource(SUBSCRIPTION_KIND, subscription.arn, _encoder.encode(subscription.record))
        self._count_policy(subscription)

    def give_token(self, subscription: Subscription, token: str) -> None:
        """Who has the token may confirm, for two days."""
        self.by_token.pop(subscription.record.token, None)
        subscription.record.token = token
        subscription.record.token_until_ms = self.engine.ledger.now_ms() + TOKEN_MS
        self._expect(subscription)
        self.record_subscription(subscription)

    def confirm(self, subscription: Subscription, *, signed: bool, guarded: bool) -> Subscription:
        """The endpoint's owner has confirmed. An ended subscription begins anew, unless the endpoint has another by now, which is
        answered then. Raises NotFound if its topic is gone.
        """
        record = subscription.record
        if record.ended:
            subscription.topic = self.find(record.topic)
            other = self.at_place(subscription.topic, record.protocol, record.endpoint)
            if other is not None:
                return other
            del self.ended[record.arn]
            record.ended = False
            self._attach(subscription)
            subscription.derive()
        record.confirmed, record.authenticated, record.authenticate_on_unsubscribe = True, signed, guarded
        self.record_subscription(subscription)
        return subscription

    def detach(self, subscription: Subscription) -> None:
        """No request finds the subscription any more."""
        record = subscription.record
        del self.subscriptions[record.arn]
        del self._places[record.topic, record.protocol, record.endpoint]
        del self._owned[record.owner, record.topic.region][record.arn]
        del self._of_topic[record.topic][record.arn]
        self._filtering[record.topic.account].discard(record.arn)
        if subscription.topic is not None:
            del subscription.topic.subscriptions[record.arn]

    def end(self, subscription: Subscription) -> None:
        """Detach it, but keep its record until its last message has left."""
        self.detach(subscription)
        subscription.record.ended = True
        self.ended[subscription.arn] = subscription
        self.record_subscription(subscription)

    def bury(self, subscription: Subscription) -> None:
        """Delete what a detached subscription has left: its record, and what waits to leave."""
        self.ended.pop(subscription.arn, None)
        self.by_token.pop(subscription.record.token, None)
        outbox = self.engine.find_internal_queue(subscription.outbox)
        if outbox is not None:
            self.engine.delete_queue(outbox)
        self.engine.ledger.batch.delete_resource(SUBSCRIPTION_KIND, subscription.arn)

    def policies(self, account: str) -> int:
        """How many subscriptions to an account's topics have a filter policy."""
        return len(self._filtering[account])

    def owned_after(self, place: Place, after: str, limit: int) -> list[Subscription]:
        """Up to `limit` subscriptions of an account to topics of a region, by ARN, with ARNs > `after`."""
        return page_after(self._owned.get(place), after, limit)

    def of_topic_after(self, topic: Topic, after: str, limit: int) -> list[Subscription]:
        """The same of one topic."""
        return page_after(self._of_topic.get(topic.name), after, limit)

    def waiting_to_leave(self) -> Iterator[Subscription]:
        """Subscriptions that something waits for in their outbox."""
        for subscriptions in (self.subscriptions, self.ended):
            for subscription in list(subscriptions.values()):
                outbox = self.engine.find_internal_queue(subscription.outbox)
                if outbox is not None and outbox.messages:
                    yield subscription

    def _enlist(self, topic: Topic) -> None:
        self.by_name[topic.name] = topic
        self._names[topic.name.account, topic.name.region][topic.name.name] = topic

    def _expect(self, subscription: Subscription) -> None:
        """When its token expires, a subscription that nobody has confirmed, or that has ended, is forgotten."""
        self.by_token[subscription.record.token] = subscription
        if not subscription.expires:  # else that deadline sees to this token too
            self._await_expiry(subscription)

    def _await_expiry(self, subscription: Subscription) -> None:
        subscription.expires = True
        self.engine.deadlines.add(subscription.record.token_until_ms, lambda: self._expiry_due(subscription))

    def _expiry_due(self, subscription: Subscription) -> None:
        record = subscription.record
        subscription.expires = False
        if self.by_token.get(record.token) is not subscription:
            return
        if self.engine.ledger.now_ms() < record.token_until_ms:
            self._await_expiry(subscription)  # it was given another token meanwhile
            return
        del self.by_token[record.token]
        if record.ended:
            self.bury(subscription)
        elif not record.confirmed:
            self.detach(subscription)
            self.bury(subscription)

    def _attach(self, subscription: Subscription) -> None:
        record = subscription.record
        if record.ended:
            self.ended[record.arn] = subscription
            return
        assert subscription.topic is not None
        self.subscriptions[record.arn] = subscription
        self._places[record.topic, record.protocol, record.endpoint] = subscription
        self._owned[record.owner, record.topic.region][record.arn] = subscription
        self._of_topic[record.topic][record.arn] = subscription
        self._count_policy(subscription)
        subscription.topic.subscriptions[record.arn] = subscription

    def _count_policy(self, subscription: Subscription) -> None:
        record = subscription.record
        filtering = self._filtering[record.topic.account]
        if "FilterPolicy" in record.attributes and not record.ended:
            filtering.add(record.arn)
        else:
            filtering.discard(record.arn)
