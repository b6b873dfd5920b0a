// Runs a Node.js function: the process that a Node.js runtime's environment consists of.
//
// Plain JavaScript without dependencies, for Node.js 18 or newer. Handlers may be CommonJS or ES modules, asynchronous or with a
// callback. Source: Lambda Developer Guide, "Building Lambda functions with Node.js" and "Using the Lambda runtime API".

import { AsyncLocalStorage } from "node:async_hooks";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const root = process.env.LAMBDA_TASK_ROOT;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const working = new AsyncLocalStorage();
let requestId; // of the event being worked on

function call(method, target, body = "", headers = {}) {
  return new Promise((resolve, reject) => {
    const content = Buffer.from(body);
    const options = { agent, host, port, method, path: `/2018-06-01/runtime${target}` };
    options.headers = method === "GET" ? headers : { ...headers, "Content-Length": content.length };
    const request = http.request(options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.setNoDelay(true);
    request.end(method === "GET" ? undefined : content);
  });
}

class Fault extends Error {
  constructor(type, message, cause) {
    super(message);
    this.name = type;
    if (cause?.stack) this.stack = `${type}: ${message}\n${cause.stack.split("\n").slice(1).join("\n")}`;
  }
}

// Errors

function describe(error) {
  if (error instanceof Error) {
    const trace = String(error.stack ?? "").split("\n");
    return { errorType: error.name, errorMessage: error.message, trace };
  }
  const errorType = error === null ? "null" : typeof error;
  return { errorType, errorMessage: String(error?.toString?.() ?? error), trace: [] };
}

function logged(error) {
  const known = error instanceof Error ? { code: error.code, ...error, name: undefined } : {};
  const { errorType, errorMessage, trace } = describe(error);
  return JSON.stringify({ errorType, errorMessage, ...known, stack: trace });
}

async function report(error) {
  const described = describe(error);
  const headers = { "Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": described.errorType };
  const target = requestId === undefined ? "/init/error" : `/invocation/${requestId}/error`;
  await call("POST", target, JSON.stringify(described), headers);
}

async function crash(what, error, status) {
  print("ERROR", `${what} \t${logged(error)}`);
  await report(error).catch(() => {});
  process.exit(status);
}

process.on("uncaughtException", (error) => crash("Uncaught Exception", error, 129));
process.on("unhandledRejection", (reason, promise) => {
  const error = new Fault("Runtime.UnhandledPromiseRejection", String(reason), reason);
  error.reason = reason;
  error.promise = promise;
  crash("Unhandled Promise Rejection", error, 128);
});

// The console: one log line per message, with AWS's beginning.

function write(line) {
  let rest = Buffer.from(line + "\n");
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") return;
    }
  }
}

function print(level, message) {
  const id = working.getStore() ?? requestId;
  write(`${new Date().toISOString()}\t${id}\t${level}\t${message.replace(/\n/g, "\r")}`);
}

const levels = { log: "INFO", debug: "DEBUG", info: "INFO", warn: "WARN", error: "ERROR" };
for (const [name, level] of Object.entries(levels)) {
  console[name] = (...parts) => print(level, format(...parts));
}
console.trace = (...parts) => print("TRACE", new Error(format(...parts)).stack.replace(/^Error/, "Trace"));

// Finding the handler

async function load(handler) {
  const match = /^(.*?)([^/\\]+?)\.(.+)$/.exec(handler);
  if (!match || handler.includes("..")) throw new Fault("Runtime.MalformedHandlerName", `Bad handler '${handler}'`);
  const [, directory, base, names] = match;
  const module = await importModule(path.resolve(root, directory, base), directory + base);
  let found = names.split(".").reduce((value, name) => value?.[name], module);
  found ??= names.split(".").reduce((value, name) => value?.[name], module?.default);
  if (found === undefined) throw new Fault("Runtime.HandlerNotFound", `${handler} is undefined or not exported`);
  if (typeof found !== "function") throw new Fault("Runtime.HandlerNotFound", `${handler} is not a function`);
  return found;
}

async function importModule(file, name) {
  try {
    const js = [file, `${file}.js`].find((candidate) => fs.statSync(candidate, { throwIfNoEntry: false })?.isFile());
    if (js && !isModule(js)) return createRequire(js)(js);
    if (js) return await import(pathToFileURL(js).href);
    if (fs.existsSync(`${file}.mjs`)) return await import(pathToFileURL(`${file}.mjs`).href);
    return createRequire(path.join(root, "index.js"))(fs.existsSync(`${file}.cjs`) ? `${file}.cjs` : file);
  } catch (error) {
    if (error instanceof SyntaxError) throw new Fault("Runtime.UserCodeSyntaxError", String(error), error);
    if (error?.code === "MODULE_NOT_FOUND" || error?.code === "ERR_MODULE_NOT_FOUND") {
      const message = error.message.includes(`'${file}'`) ? `Error: Cannot find module '${name}'` : String(error);
      throw new Fault("Runtime.ImportModuleError", message, error);
    }
    throw error;
  }
}

function isModule(file) {
  for (let directory = path.dirname(file); ; directory = path.dirname(directory)) {
    const described = path.join(directory, "package.json");
    if (fs.existsSync(described)) return JSON.parse(fs.readFileSync(described, "utf8")).type === "module";
    if (directory === path.dirname(directory)) return false;
  }
}

// Working on events

function contextOf(headers, finish) {
  const env = process.env;
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const parsed = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parsed("lambda-runtime-client-context"),
    identity: parsed("lambda-runtime-cognito-identity"),
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0),
    done: (error, result) => finish(error, result, false),
    succeed: (result) => finish(null, result, false),
    fail: (error) => finish(error ?? "handled", undefined, false),
  };
}

// Resolves with the result or rejects with the error, once the handler has decided and the event loop may be left.
function work(handler, event, headers) {
  return new Promise((resolve, reject) => {
    let decided = false;
    let settle = () => resolve(null); // neither a promise nor a callback: null, when nothing is left to do
    const emptied = () => settle();
    const leave = () => {
      process.off("beforeExit", emptied);
      settle();
    };
    const finish = (error, result, waits) => {
      if (decided) return;
      decided = true;
      settle = () => (error !== null && error !== undefined ? reject(error) : resolve(result));
      if (!waits) leave();
    };
    const context = contextOf(headers, finish);
    const callback = (error, result) => finish(error, result, context.callbackWaitsForEmptyEventLoop);
    process.once("beforeExit", emptied);
    try {
      const returned = handler(event, context, callback);
      if (typeof returned?.then === "function") {
        returned.then(
          (result) => finish(null, result, false),
          (error) => finish(error ?? new Error("Unknown Reason"), undefined, false),
        );
      }
    } catch (error) {
      finish(error, undefined, false);
    }
  });
}

function encode(result) {
  try {
    return JSON.stringify(result === undefined ? null : result) ?? "null";
  } catch (error) {
    throw new Fault("Runtime.MarshalError", `Unable to stringify response body: ${error.message}`, error);
  }
}

async function serve(handler) {
  for (;;) {
    const next = await call("GET", "/invocation/next");
    if (next.status !== 200) process.exit(1);
    requestId = next.headers["lambda-runtime-aws-request-id"];
    process.env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"] ?? "";
    let body;
    try {
      const event = JSON.parse(next.body.toString("utf8"));
      body = encode(await working.run(requestId, () => work(handler, event, next.headers)));
    } catch (error) {
      print("ERROR", `Invoke Error \t${logged(error)}`);
      await report(error);
      continue;
    }
    const answer = await call("POST", `/invocation/${requestId}/response`, body, { "Content-Type": "application/json" });
    if (answer.status !== 202) {
      write(`The response was not taken: ${answer.body}`);
      process.exit(1);
    }
  }
}

let handler;
try {
  handler = await load(process.argv[2]);
} catch (error) {
  await crash("Uncaught Exception", error, 1);
}
serve(handler);
