// The round trip through @aws-sdk/client-sqs v3, which checks MD5s itself and posts to the host and path of the QueueUrl.
import assert from "node:assert/strict";
import {
  ChangeMessageVisibilityCommand, CreateQueueCommand, DeleteMessageBatchCommand, DeleteMessageCommand,
  GetQueueAttributesCommand, GetQueueUrlCommand, ListQueuesCommand, QueueDoesNotExist, ReceiveMessageCommand,
  SendMessageBatchCommand, SendMessageCommand, SQSClient,
} from "@aws-sdk/client-sqs";

const sqs = new SQSClient({ endpoint: process.env.POMBO_URL, region: "us-east-1", maxAttempts: 1 });
const call = (Command, parameters) => sqs.send(new Command(parameters));

async function standard() {
  const { QueueUrl } = await call(CreateQueueCommand, { QueueName: "standard", tags: { team: "blue" } });
  assert.deepEqual((await call(ListQueuesCommand, {})).QueueUrls, [QueueUrl]);
  const poll = call(ReceiveMessageCommand, { QueueUrl, WaitTimeSeconds: 20, MessageAttributeNames: ["All"] });
  const MessageBody = 'grüße <&> "quoted"\r\n\u{1f600}';
  const MessageAttributes = {
    city: { DataType: "String", StringValue: "Zürich" },
    count: { DataType: "Number", StringValue: "12" },
    blob: { DataType: "Binary", BinaryValue: new Uint8Array([0, 255, 13, 10]) },
  };
  const sent = await call(SendMessageCommand, { QueueUrl, MessageBody, MessageAttributes });
  const [message] = (await poll).Messages;
  assert.equal(message.MessageId, sent.MessageId);
  assert.equal(message.Body, MessageBody);
  assert.equal(message.MD5OfMessageAttributes, sent.MD5OfMessageAttributes);
  assert.equal(message.MessageAttributes.city.StringValue, "Zürich");
  assert.deepEqual([...message.MessageAttributes.blob.BinaryValue], [0, 255, 13, 10]);
  const { ReceiptHandle } = message;
  await call(ChangeMessageVisibilityCommand, { QueueUrl, ReceiptHandle, VisibilityTimeout: 60 });
  await call(DeleteMessageCommand, { QueueUrl, ReceiptHandle });

  const Entries = [...Array(10).keys()].map((n) => ({ Id: `${n}`, MessageBody: `batch ${n}` }));
  assert.equal((await call(SendMessageBatchCommand, { QueueUrl, Entries })).Successful.length, 10);
  const { Messages } = await call(ReceiveMessageCommand, { QueueUrl, MaxNumberOfMessages: 10 });
  assert.equal(Messages.length, 10);
  const handles = Messages.map((each, n) => ({ Id: `${n}`, ReceiptHandle: each.ReceiptHandle }));
  assert.equal((await call(DeleteMessageBatchCommand, { QueueUrl, Entries: handles })).Successful.length, 10);
  assert.equal((await call(ReceiveMessageCommand, { QueueUrl })).Messages, undefined);
}

async function fifo() {
  const Attributes = { FifoQueue: "true", ContentBasedDeduplication: "true" };
  const { QueueUrl } = await call(CreateQueueCommand, { QueueName: "ordered.fifo", Attributes });
  const sent = [];
  for (const MessageBody of ["a", "b", "a", "c"]) {
    sent.push(await call(SendMessageCommand, { QueueUrl, MessageBody, MessageGroupId: "g" }));
  }
  assert.equal(sent[2].MessageId, sent[0].MessageId);
  assert.equal(sent[2].SequenceNumber, sent[0].SequenceNumber);
  const { Messages } = await call(ReceiveMessageCommand, { QueueUrl, MaxNumberOfMessages: 10 });
  assert.deepEqual(Messages.map((message) => message.Body), ["a", "b", "c"]);
}

async function deadLetter() {
  const dead = (await call(CreateQueueCommand, { QueueName: "dead" })).QueueUrl;
  const asked = { QueueUrl: dead, AttributeNames: ["QueueArn"] };
  const deadLetterTargetArn = (await call(GetQueueAttributesCommand, asked)).Attributes.QueueArn;
  const Attributes = { RedrivePolicy: JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 1 }) };
  const { QueueUrl } = await call(CreateQueueCommand, { QueueName: "alive", Attributes });
  await call(SendMessageCommand, { QueueUrl, MessageBody: "poison" });
  assert.equal((await call(ReceiveMessageCommand, { QueueUrl, VisibilityTimeout: 0 })).Messages.length, 1);
  assert.equal((await call(ReceiveMessageCommand, { QueueUrl })).Messages, undefined);
  const reply = await call(ReceiveMessageCommand, { QueueUrl: dead, MessageSystemAttributeNames: ["All"] });
  assert.equal(reply.Messages[0].Body, "poison");
  assert.match(reply.Messages[0].Attributes.DeadLetterQueueSourceArn, /:alive$/);
}

async function errors() {
  await assert.rejects(call(GetQueueUrlCommand, { QueueName: "nowhere" }), (error) => {
    assert.ok(error instanceof QueueDoesNotExist);
    assert.equal(error.$metadata.httpStatusCode, 400);
    return true;
  });
}

await standard();
await fifo();
await deadLetter();
await errors();
sqs.destroy();
