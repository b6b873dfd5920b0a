"""Publishing to a topic: which subscriptions get a message, and all their copies in one transaction.

One synchronous engine call checks, filters and sends. What it lacks it names: rows (Absent), or signatures and
judgements of large messages (Unprepared), which are made beside the event loop; then it is made again from the beginning.
"""

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from broker.core.deduplication import Entry, digest_of
from broker.errors import AwsError
from broker.services.context import Call
from broker.services.filtering.policy import FilterPolicy
from broker.services.sns.archive import keep
from broker.services.sns.delivery import BY_PROTOCOL
from broker.services.sns.message_rules import Draft
from broker.services.sns.names import TopicName
from broker.services.sns.plan import Plan
from broker.services.sns.publication import Groundwork, Judgement, Publication, Unprepared, sequence_number
from broker.services.sns.records import Published
from broker.services.sns.signer import Signer
from broker.services.sns.state import Topics
from broker.services.sns.topic import Topic

Write = Callable[[Topic], Draft]  # raises AwsError


_JUDGED_AT_ONCE_MAX: Final = 262_144  # policies times bytes: some 40 ms at worst


class Accepted(NamedTuple):
    """What a publisher is told. For a duplicate, the original's."""

    message_id: str
    sequence_number: str | None  # FIFO topics only


class _Prepared(NamedTuple):
    """What a publish keeps from one attempt to the next, so that its signatures stay true."""

    message_ids: list[str]
    at_ms: int


async def publish_all(call: Call, name: TopicName, writes: Sequence[Write]) -> list[Accepted | AwsError]:
    """Publish messages to a topic in this order: those that may be published together, the others' errors in their place."""
    chance, signer = call.runtime.chance, call.runtime.part(Signer)
    prepared = _Prepared([chance.uuid() for _ in writes], call.runtime.clock.now_ms())
    groundwork = Groundwork(call.base_url)
    while True:
        try:
            return await call.runtime.call(_publish, call, name, writes, prepared, groundwork)
        except Unprepared as error:
            unprepared = error.with_traceback(None)
        groundwork = await _prepare(call, signer, unprepared, groundwork)


async def _prepare(call: Call, signer: Signer, unprepared: Unprepared, groundwork: Groundwork) -> Groundwork:
    """The groundwork with what was lacking."""
    if unprepared.texts:
        signatures = await signer.sign(list(unprepared.texts), unprepared.version)
        signed = {(unprepared.version, text): signature for text, signature in signatures.items()}
        groundwork = groundwork._replace(
            certificate_url=signer.certificate_url(call.base_url),
            signatures={**groundwork.signatures, **signed},
        )
    if unprepared.judgements:
        verdicts = await asyncio.to_thread(_judge, unprepared.judgements)
        groundwork = groundwork._replace(verdicts={**groundwork.verdicts, **verdicts})
    return groundwork


def _judge(judgements: Sequence[Judgement]) -> dict[tuple[FilterPolicy, str, str], bool]:
    return {(j.policy, j.message_id, j.text): j.policy.matches(j.given) for j in judgements}


def _publish(
    call: Call, name: TopicName, writes: Sequence[Write], prepared: _Prepared, groundwork: Groundwork
) -> list[Accepted | AwsError]:
    topics = call.runtime.part(Topics)
    topic = topics.find(name)
    drafts = [_write(write, topic) for write in writes]
    plan = Plan(topics)
    known = _Known(topic, plan, drafts)
    policies = sum(s.filter is not None for s in topic.subscriptions.values())
    unsigned: set[str] = set()
    unjudged: list[Judgement] = []
    outcomes: list[Accepted | AwsError] = []
    for message_id, draft, digest in zip(prepared.message_ids, drafts, known.digests, strict=True):
        if isinstance(draft, AwsError):
            outcomes.append(draft)
            continue
        original = known.original(digest)
        if original is not None:
            outcomes.append(_accepted(original.message_id, original.order))
            continue
        published = _published(topics, topic, message_id, draft, prepared.at_ms, call)
        heavy = policies * draft.size > _JUDGED_AT_ONCE_MAX
        publication = Publication(published, topic, groundwork, heavy=heavy)
        fan_out(plan, publication)
        unsigned |= publication.unsigned
        unjudged += publication.unjudged
        known.add(digest, published)
        outcomes.append(_accepted(message_id, published.order))
    if unsigned or unjudged:
        raise Unprepared(topic.signature_version, unsigned, unjudged)
    plan.apply()
    known.remember()
    return outcomes


def fan_out(plan: Plan, publication: Publication) -> None:
    """Add the message to the plan for every subscription that wants it, and for the topic's archive."""
    for subscription in publication.topic.subscriptions.values():
        if subscription.live and publication.passes(subscription):
            BY_PROTOCOL[subscription.protocol](plan, publication, subscription)
    if publication.topic.archive_days:
        keep(plan, publication)


class _Known:
    """A FIFO topic's five-minute window, during one publish. Raises Absent when it is made, if the store must be asked."""

    def __init__(self, topic: Topic, plan: Plan, drafts: Sequence[Draft | AwsError]) -> None:
        self._topic, self._plan = topic, plan
        self._new: dict[bytes, Entry] = {}
        self.digests = [_digest(topic, d) if topic.fifo and isinstance(d, Draft) else b"" for d in drafts]
        asked = [digest for digest in self.digests if digest]
        if asked:
            plan.engine.usage.keep(topic.deduplication)
            topic.deduplication.require(asked, plan.now_ms)

    def original(self, digest: bytes) -> Entry | None:
        """What a message of this digest is a duplicate of."""
        if not digest:
            return None
        return self._new.get(digest) or self._topic.deduplication.entry(digest, self._plan.now_ms)

    def add(self, digest: bytes, published: Published) -> None:
        if digest:
            assert published.order is not None
            self._new[digest] = Entry(self._plan.now_ms, published.message_id, published.order)

    def remember(self) -> None:
        """The plan was applied."""
        engine, deduplication = self._plan.engine, self._topic.deduplication
        for digest, entry in self._new.items():
            deduplication.add(digest, entry, engine.ledger.batch)
        if self._topic.fifo:
            engine.usage.keep(deduplication)  # it may have left memory while the plan was applied
            engine.usage.make_room(deduplication)


def _digest(topic: Topic, draft: Draft) -> bytes:
    return digest_of(draft.group if topic.by_group else None, _deduplication_id(draft))


def _deduplication_id(draft: Draft) -> str:
    """As it was given, or made of the message alone."""
    return draft.deduplication_id or sha256(draft.message.encode()).hexdigest()


def _write(write: Write, topic: Topic) -> Draft | AwsError:
    try:
        return write(topic)
    except AwsError as error:
        return error


def _published(topics: Topics, topic: Topic, message_id: str, draft: Draft, at_ms: int, call: Call) -> Published:
    order = None
    if topic.fifo:
        topics.engine.ledger.reserve(1)
        order = topics.engine.ledger.next_sequence()
    return Published(
        message_id=message_id,
        message=draft.message,
        at_ms=at_ms,
        subject=draft.subject,
        attributes=draft.attributes,
        by_protocol=draft.by_protocol,
        group=draft.group,
        deduplication_id=_deduplication_id(draft) if topic.fifo else None,
        order=order,
        trace_header=call.trace_header,
        base_url=call.base_url,
    )


def _accepted(message_id: str, order: int | None) -> Accepted:
    return Accepted(message_id, None if order is None else sequence_number(order))
