// The round trip of SNS through @aws-sdk/client-sns v3, with queues behind @aws-sdk/client-sqs.
import assert from "node:assert/strict";
import {
  CreateTopicCommand, DeleteTopicCommand, GetSubscriptionAttributesCommand, GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand, ListTopicsCommand, NotFoundException, paginateListTopics, PublishBatchCommand,
  PublishCommand, SetSubscriptionAttributesCommand, SetTopicAttributesCommand, SNSClient, SubscribeCommand,
  UnsubscribeCommand,
} from "@aws-sdk/client-sns";
import {
  CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand, SQSClient,
} from "@aws-sdk/client-sqs";

const options = { endpoint: process.env.POMBO_URL, region: "us-east-1", maxAttempts: 1 };
const sns = new SNSClient(options);
const sqs = new SQSClient(options);
const call = (Command, parameters) => sns.send(new Command(parameters));
const ask = (Command, parameters) => sqs.send(new Command(parameters));

async function makeQueue(QueueName, Attributes) {
  const { QueueUrl } = await ask(CreateQueueCommand, { QueueName, Attributes });
  const found = await ask(GetQueueAttributesCommand, { QueueUrl, AttributeNames: ["QueueArn"] });
  return [QueueUrl, found.Attributes.QueueArn];
}

async function subscribe(TopicArn, Endpoint, Attributes) {
  return (await call(SubscribeCommand, { TopicArn, Protocol: "sqs", Endpoint, Attributes })).SubscriptionArn;
}

async function receive(QueueUrl) {
  const asked = { QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: ["All"] };
  return (await ask(ReceiveMessageCommand, asked)).Messages ?? [];
}

async function fanOut() {
  const Tags = [{ Key: "team", Value: "blue" }];
  const { TopicArn } = await call(CreateTopicCommand, { Name: "orders", Attributes: { DisplayName: "Orders" }, Tags });
  const [raw, rawArn] = await makeQueue("raw");
  const [filtered, filteredArn] = await makeQueue("filtered");
  await subscribe(TopicArn, rawArn, { RawMessageDelivery: "true" });
  const SubscriptionArn = await subscribe(TopicArn, filteredArn, { FilterPolicy: JSON.stringify({ city: ["Zürich"] }) });

  const Message = 'grüße <&> "quoted"\r\n\u{1f600}';
  const MessageAttributes = {
    city: { DataType: "String", StringValue: "Zürich" },
    blob: { DataType: "Binary", BinaryValue: new Uint8Array([0, 255, 13, 10]) },
  };
  const sent = await call(PublishCommand, { TopicArn, Message, Subject: "a subject", MessageAttributes });
  const entries = [...Array(9).keys()].map((n) => ({ Id: `${n}`, Message: `batch ${n}` }));
  const batch = await call(PublishBatchCommand, { TopicArn, PublishBatchRequestEntries: entries });
  assert.deepEqual(batch.Successful.map((one) => one.Id), entries.map((one) => one.Id));
  assert.equal((batch.Failed ?? []).length, 0);

  const [first, ...rest] = await receive(raw);
  assert.equal(first.Body, Message);
  assert.equal(first.MessageAttributes.city.StringValue, "Zürich");
  assert.deepEqual([...first.MessageAttributes.blob.BinaryValue], [0, 255, 13, 10]);
  assert.deepEqual(rest.map((one) => one.Body), entries.map((one) => one.Message));
  const [message, ...others] = await receive(filtered);
  assert.equal(others.length, 0);
  const envelope = JSON.parse(message.Body);
  assert.equal(envelope.Message, Message);
  assert.equal(envelope.MessageId, sent.MessageId);
  assert.equal(envelope.Subject, "a subject");
  assert.deepEqual(envelope.MessageAttributes.blob, { Type: "Binary", Value: "AP8NCg==" });

  await call(SetTopicAttributesCommand, { TopicArn, AttributeName: "DisplayName", AttributeValue: "More" });
  const topic = (await call(GetTopicAttributesCommand, { TopicArn })).Attributes;
  assert.equal(topic.DisplayName, "More");
  assert.equal(topic.SubscriptionsConfirmed, "2");
  const change = { SubscriptionArn, AttributeName: "RawMessageDelivery", AttributeValue: "true" };
  await call(SetSubscriptionAttributesCommand, change);
  const { Attributes } = await call(GetSubscriptionAttributesCommand, { SubscriptionArn });
  assert.equal(Attributes.RawMessageDelivery, "true");
  await call(UnsubscribeCommand, { SubscriptionArn });
  assert.equal((await call(ListSubscriptionsByTopicCommand, { TopicArn })).Subscriptions.length, 1);
  await call(DeleteTopicCommand, { TopicArn });
  assert.deepEqual((await call(ListTopicsCommand, {})).Topics ?? [], []);
}

async function fifo() {
  const Attributes = { FifoTopic: "true", ContentBasedDeduplication: "true" };
  const { TopicArn } = await call(CreateTopicCommand, { Name: "ordered.fifo", Attributes });
  const [url, arn] = await makeQueue("ordered.fifo", { FifoQueue: "true" });
  await subscribe(TopicArn, arn, { RawMessageDelivery: "true" });
  const sent = [];
  for (const Message of ["a", "b", "a", "c"]) {
    sent.push(await call(PublishCommand, { TopicArn, Message, MessageGroupId: "g" }));
  }
  assert.equal(sent[2].MessageId, sent[0].MessageId);
  assert.ok(sent[0].SequenceNumber < sent[1].SequenceNumber);
  assert.deepEqual((await receive(url)).map((message) => message.Body), ["a", "b", "c"]);
}

async function pages() {
  for (let n = 0; n < 101; n += 1) await call(CreateTopicCommand, { Name: `page-${n}` });
  const sizes = [];
  for await (const page of paginateListTopics({ client: sns }, {})) sizes.push(page.Topics.length);
  assert.deepEqual(sizes, [100, 2]);
}

async function errors() {
  const TopicArn = `arn:aws:sns:us-east-1:${process.env.AWS_ACCESS_KEY_ID}:nowhere`;
  await assert.rejects(call(PublishCommand, { TopicArn, Message: "x" }), (error) => {
    assert.ok(error instanceof NotFoundException);
    assert.equal(error.name, "NotFoundException");
    assert.equal(error.Code ?? error.Error?.Code, "NotFound");
    assert.equal(error.message, "Topic does not exist");
    assert.equal(error.$metadata.httpStatusCode, 404);
    return true;
  });
}

await fanOut();
await fifo();
await pages();
await errors();
sns.destroy();
sqs.destroy();
