// SNS's documents, checked by sns-validator. It takes certificates from https://sns.REGION.amazonaws.com only, which the broker
// was told to write into its documents; here, that host's certificates are fetched from the broker.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import {
  CreateTopicCommand, PublishCommand, SetTopicAttributesCommand, SNSClient, SubscribeCommand,
} from "@aws-sdk/client-sns";
import MessageValidator from "sns-validator";

const HOST = "sns.us-east-1.amazonaws.com";
const broker = process.env.POMBO_URL;
const fetched = [];
https.get = (url, callback) => {
  const { host, pathname } = new URL(url);
  assert.equal(host, HOST);
  fetched.push(pathname);
  return http.get(`${broker}${pathname}`, callback);
};

const sns = new SNSClient({ endpoint: broker, region: "us-east-1", maxAttempts: 1 });
const call = (Command, parameters) => sns.send(new Command(parameters));
const validate = (document) => new Promise((resolve, reject) => {
  new MessageValidator().validate(document, (error, message) => (error ? reject(error) : resolve(message)));
});

// An endpoint that keeps what it is sent until it is asked for.
const letters = [];
const endpoint = http.createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  letters.push(Buffer.concat(parts).toString());
  response.end();
  endpoint.emit("letter");
});
endpoint.listen(0, "127.0.0.1");
await once(endpoint, "listening");

async function nextLetter(type) {
  if (letters.length === 0) await once(endpoint, "letter");
  const text = letters.shift();
  assert.equal(JSON.parse(text).Type, type);
  return text;
}

const { TopicArn } = await call(CreateTopicCommand, { Name: "signed" });
const Endpoint = `http://127.0.0.1:${endpoint.address().port}/`;
await call(SubscribeCommand, { TopicArn, Protocol: "http", Endpoint });
const confirmation = await nextLetter("SubscriptionConfirmation");
const { SubscribeURL } = await validate(confirmation);
assert.ok((await fetch(SubscribeURL)).ok);

for (const version of ["1", "2"]) {
  await call(SetTopicAttributesCommand, { TopicArn, AttributeName: "SignatureVersion", AttributeValue: version });
  for (const Subject of ["a subject", undefined]) {
    await call(PublishCommand, { TopicArn, Message: 'grüße\r\n"quoted" \u{1f600}', Subject });
    const letter = await nextLetter("Notification");
    const message = await validate(letter);
    assert.equal(message.SignatureVersion, version);
    assert.equal(message.Subject, Subject);
    for (const [name, value] of [["Message", "another"], ["Timestamp", "2020-01-01T00:00:00.000Z"]]) {
      await assert.rejects(validate({ ...message, [name]: value }), /signature is invalid/);
    }
  }
}

// An UnsubscribeConfirmation is not checked: sns-validator leaves Token out of its text, which AWS's documentation has in it.
await assert.rejects(validate({ ...JSON.parse(confirmation), Token: "another" }), /signature is invalid/);
assert.ok(fetched.length > 0 && fetched.every((path) => path.startsWith("/SimpleNotificationService-")));

sns.destroy();
endpoint.close();
endpoint.closeAllConnections();
