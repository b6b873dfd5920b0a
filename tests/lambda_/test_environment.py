"""What a handler does, and what its caller and its log get: results, errors, crashes, timeouts, limits."""

import asyncio
import json
import os
import re
from pathlib import Path

import pytest

from broker.services.lambda_.runtime.commands import Interpreters, UnsupportedRuntime, command
from broker.services.lambda_.runtime.environment import Limits
from broker.services.lambda_.runtime.invocation import Event
from broker.services.lambda_.runtime.specs import FunctionSpec
from tests.lambda_.conftest import ARN, NODE, OWN, PROVIDED, Bench, error_of, event, result_of

ECHO = "def handler(event, context):\n    return event\n"
ECHO_NODE = "exports.handler = async (event) => event;\n"
ECHO_SHELL = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
    headers=$(mktemp)
    body=$(mktemp)
    curl -sS -o "$body" -D "$headers" "$api/next" || exit 1
    id=$(grep -i '^Lambda-Runtime-Aws-Request-Id' "$headers" | tr -d '\\r' | cut -d' ' -f2)
    echo "working on $id"
    curl -sS -o /dev/null --data-binary @"$body" "$api/$id/response"
    rm "$headers" "$body"
done
"""


# Results


async def test_a_python_handler_gets_the_event_and_the_context(bench: Bench, python: Interpreters) -> None:
    code = """
import os
def handler(event, context):
    return {
        "event": event,
        "ids": [context.aws_request_id, context.invoked_function_arn, context.function_name, context.function_version],
        "memory": context.memory_limit_in_mb,
        "log": [context.log_group_name, context.log_stream_name],
        "left": context.get_remaining_time_in_millis(),
        "client": context.client_context.custom,
        "identity": context.identity.cognito_identity_id,
        "trace": os.environ["_X_AMZN_TRACE_ID"],
    }
"""
    environment = bench.environment(code, interpreters=python, memory_mb=256, timeout_s=5)
    given = Event(
        '{"ü": "日本"}'.encode(), "r-1", f"{ARN}:live", "Root=1", '{"custom":{"a":"b"}}', '{"cognitoIdentityId":"i"}'
    )
    result = result_of(await environment.invoke(given))
    assert 3_000 < result.pop("left") <= 5_000
    assert result == {
        "event": {"ü": "日本"},
        "ids": ["r-1", f"{ARN}:live", "greet", "$LATEST"],
        "memory": "256",
        "log": ["/aws/lambda/greet", environment.log_stream],
        "client": {"a": "b"},
        "identity": "i",
        "trace": "Root=1",
    }


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("app.js", "exports.handler = async (event, context) => RESULT;"),
        ("app.mjs", "export const handler = async (event, context) => RESULT;"),
        (
            "app.cjs",
            "exports.handler = (event, context, callback) => { setTimeout(() => callback(null, RESULT), 1); };",
        ),
    ],
)
async def test_a_node_handler_gets_the_event_and_the_context(bench: Bench, file: str, code: str) -> None:
    returned = """({
        event, ids: [context.awsRequestId, context.invokedFunctionArn, context.functionName, context.functionVersion],
        memory: context.memoryLimitInMB, left: context.getRemainingTimeInMillis(), client: context.clientContext,
    })"""
    environment = bench.environment(code.replace("RESULT", returned), NODE, file=file, timeout_s=5)
    result = result_of(await environment.invoke(Event('{"ü": "日本"}'.encode(), "r-1", client_context='{"a":1}')))
    assert 2_000 < result.pop("left") <= 5_000
    assert result == {
        "event": {"ü": "日本"},
        "ids": ["r-1", ARN, "greet", "$LATEST"],
        "memory": "128",
        "client": {"a": 1},
    }


async def test_an_executable_runs_what_it_likes(bench: Bench) -> None:
    environment = bench.environment(ECHO_SHELL, PROVIDED)
    for number in range(2):
        given = event({"ü": number})
        invocation = await environment.invoke(given)
        assert result_of(invocation) == {"ü": number}
        assert f"working on {given.request_id}\n" in invocation.log_tail.decode()


async def test_a_node_package_may_be_of_modules_and_its_handler_deep_inside(bench: Bench) -> None:
    (bench.directory / "src").mkdir()
    (bench.directory / "package.json").write_text('{"type": "module"}')
    code = "export const api = { get: (event, context, callback) => callback(null, import.meta.url.length > event) };"
    environment = bench.environment(code, NODE, file="src/app.js", handler="src/app.api.get")
    assert result_of(await environment.invoke(event(5))) is True


@pytest.mark.parametrize("code", ["exports.handler = () => {};", "exports.handler = async () => {};"])
async def test_a_node_handler_that_returns_nothing_returns_null(bench: Bench, code: str) -> None:
    assert result_of(await bench.environment(code, NODE).invoke(event())) is None


async def test_an_environment_keeps_its_state_from_event_to_event(bench: Bench, python: Interpreters) -> None:
    code = "count = 0\ndef handler(event, context):\n    global count\n    count += 1\n    return count\n"
    environment = bench.environment(code, interpreters=python)
    assert [result_of(await environment.invoke(event())) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(("runtime", "code"), [("python3.12", ECHO), (NODE, ECHO_NODE), (PROVIDED, ECHO_SHELL)])
async def test_six_megabytes_come_and_go(bench: Bench, runtime: str, code: str) -> None:
    payload = "é" * (3 * 1024 * 1024 - 100)
    body = json.dumps(payload, ensure_ascii=False).encode()
    if runtime == "python3.12":  # its JSON has six characters where UTF-8 has two
        payload = "e" * (6 * 1024 * 1024 - 100)
        body = json.dumps(payload).encode()
    environment = bench.environment(code, runtime, memory_mb=512, timeout_s=10)
    invocation = await environment.invoke(Event(body, "r-1"))
    assert result_of(invocation) == payload


@pytest.mark.parametrize(
    ("runtime", "interpreters", "code"),
    [
        ("python3.12", Interpreters(), "def handler(event, context):\n    return 'x' * 6291600\n"),
        ("python3.12", OWN, "def handler(event, context):\n    return 'x' * 6291600\n"),
        (NODE, OWN, "exports.handler = async (event) => 'x'.repeat(6291600);"),
    ],
)
async def test_a_result_beyond_six_megabytes_is_an_error(
    bench: Bench, runtime: str, interpreters: Interpreters, code: str
) -> None:
    invocation = await bench.environment(code, runtime, memory_mb=512, interpreters=interpreters).invoke(event())
    assert error_of(invocation) == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }


# Errors of the handler


async def test_an_exception_is_the_callers_error(bench: Bench, python: Interpreters) -> None:
    code = "def handler(event, context):\n    if event:\n        raise KeyError('gone ü')\n"
    environment = bench.environment(code, interpreters=python)
    given = event(True)
    invocation = await environment.invoke(given)
    error = error_of(invocation)
    assert error["errorMessage"] == "'gone ü'"
    assert error["errorType"] == "KeyError"
    assert error["requestId"] == given.request_id
    assert 'app.py", line 3, in handler' in error["stackTrace"][0]
    assert "[ERROR] KeyError: 'gone ü'" in invocation.log_tail.decode()
    assert "Status: error" not in invocation.log_tail.decode()
    assert result_of(await environment.invoke(event())) is None, "the environment goes on"


async def test_what_is_no_json_cannot_be_returned(bench: Bench, python: Interpreters) -> None:
    environment = bench.environment("def handler(event, context):\n    return {1, 2}\n", interpreters=python)
    error = error_of(await environment.invoke(event()))
    assert error["errorType"] == "Runtime.MarshalError"
    assert error["errorMessage"] == "Unable to marshal response: Object of type set is not JSON serializable"


@pytest.mark.parametrize(
    "code",
    [
        "exports.handler = async () => { throw new TypeError('gone ü'); };",
        "exports.handler = () => { throw new TypeError('gone ü'); };",
        "exports.handler = (event, context, callback) => callback(new TypeError('gone ü'));",
        "exports.handler = (event, context) => context.fail(new TypeError('gone ü'));",
    ],
)
async def test_a_node_error_is_the_callers_error(bench: Bench, code: str) -> None:
    invocation = await bench.environment(code, NODE).invoke(event())
    error = error_of(invocation)
    assert (error["errorType"], error["errorMessage"]) == ("TypeError", "gone ü")
    assert error["trace"][0] == "TypeError: gone ü"
    assert "\tERROR\tInvoke Error \t" in invocation.log_tail.decode()


async def test_an_unhandled_rejection_ends_a_node_environment(bench: Bench) -> None:
    code = "exports.handler = () => { Promise.reject(new Error('gone')); setTimeout(() => {}, 2000); };"
    environment = bench.environment(code, NODE)
    error = error_of(await environment.invoke(event()))
    assert (error["errorType"], error["errorMessage"]) == ("Runtime.UnhandledPromiseRejection", "Error: gone")
    assert environment.ended


# Initialisation


@pytest.mark.parametrize(
    ("code", "handler", "error_type", "message"),
    [
        (
            "import nowhere\n",
            "app.handler",
            "ImportModuleError",
            "Unable to import module 'app': No module named 'nowhere'",
        ),
        ("x = 1\n", "app.handler", "HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        (
            "x = 1\n",
            "app",
            "MalformedHandlerName",
            "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
        ),
        (
            "def handler(:\n",
            "app.handler",
            "UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
        ),
    ],
)
async def test_a_python_function_that_cannot_be_loaded(
    bench: Bench, python: Interpreters, code: str, handler: str, error_type: str, message: str
) -> None:
    environment = bench.environment(code, handler=handler, interpreters=python)
    invocation = await environment.invoke(event())
    error = error_of(invocation)
    assert (error["errorType"], error["errorMessage"]) == (f"Runtime.{error_type}", message)
    assert environment.ended
    lines = bench.lines()
    assert f"[ERROR] Runtime.{error_type}: {message}" in invocation.log_tail.decode()
    assert any(
        re.match(rf"INIT_REPORT Init Duration: \S+ ms\tPhase: init\tStatus: error\t.*{error_type}", x) for x in lines
    )
    assert f"Status: error\tError Type: Runtime.{error_type}" in lines[-1]


@pytest.mark.parametrize(
    ("code", "handler", "error_type"),
    [
        ("require('nowhere');", "app.handler", "Runtime.ImportModuleError"),
        ("exports.x = 1;", "app.handler", "Runtime.HandlerNotFound"),
        ("exports.handler = async () => {", "app.handler", "Runtime.UserCodeSyntaxError"),
        ("exports.handler = 1;", "missing.handler", "Runtime.ImportModuleError"),
        ("null.x;", "app.handler", "TypeError"),
    ],
)
async def test_a_node_function_that_cannot_be_loaded(bench: Bench, code: str, handler: str, error_type: str) -> None:
    error = error_of(await bench.environment(code, NODE, handler=handler).invoke(event()))
    assert error["errorType"] == error_type


async def test_an_exception_at_the_top_level_is_an_error_of_the_initialisation(
    bench: Bench, python: Interpreters
) -> None:
    environment = bench.environment("print('hello')\n1 / 0\n", interpreters=python)
    error = error_of(await environment.invoke(event()))
    assert (error["errorType"], error["errorMessage"]) == ("ZeroDivisionError", "division by zero")
    assert bench.lines()[0] == "hello"


async def test_a_process_that_ends_before_it_is_ready(bench: Bench) -> None:
    environment = bench.environment("#!/bin/sh\nexit 3\n", PROVIDED)
    given = event()
    assert error_of(await environment.invoke(given)) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {given.request_id} Error: Runtime exited with error: exit status 3",
    }


async def test_a_package_without_an_executable(bench: Bench) -> None:
    environment = bench.environment("", PROVIDED, file="other")
    error = error_of(await environment.invoke(event()))
    assert error["errorType"] == "Runtime.InvalidEntrypoint"
    assert error["errorMessage"].endswith(f"Couldn't find valid bootstrap(s): [{bench.directory}/bootstrap]")


async def test_an_executable_that_is_none(bench: Bench) -> None:
    environment = bench.environment("#!/bin/sh\n", PROVIDED)
    (bench.directory / "bootstrap").chmod(0o644)
    error = error_of(await environment.invoke(event()))
    assert error["errorType"] == "Runtime.InvalidEntrypoint"
    assert error["errorMessage"].endswith(f"fork/exec {bench.directory}/bootstrap: permission denied")


async def test_an_initialisation_that_takes_too_long_is_tried_again_in_the_invocations_time(bench: Bench) -> None:
    code = """
import os, time
first = not os.path.exists("tried")
open("tried", "w").close()
if first:
    time.sleep(30)
def handler(event, context):
    return "second"
"""
    environment = bench.environment(code, limits=Limits(init_s=0.4, grace_s=0.1))
    invocation = await environment.invoke(event())
    assert result_of(invocation) == "second"
    assert re.match(r"INIT_REPORT Init Duration: \S+ ms\tPhase: init\tStatus: timeout", bench.lines()[0])
    assert invocation.init_ms is None


async def test_an_initialisation_that_never_ends_is_a_timeout(bench: Bench) -> None:
    environment = bench.environment(
        "import time\ntime.sleep(30)\n", limits=Limits(init_s=0.2, grace_s=0.1), timeout_s=0.2
    )
    error = error_of(await environment.invoke(event()))
    assert error["errorMessage"].endswith("Task timed out after 0.20 seconds")
    assert environment.ended


def test_a_runtime_that_nobody_runs_is_refused(tmp_path: Path) -> None:
    for runtime in ("java21", "dotnet8", "go1.x", "ruby3.3"):
        with pytest.raises(UnsupportedRuntime):
            command(FunctionSpec("f", ARN, runtime, "x.y", tmp_path), OWN)


# Ends


@pytest.mark.parametrize(
    "code",
    [
        "import time\ndef handler(event, context):\n    print('begun')\n    time.sleep(30)\n",
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "def handler(event, context):\n    print('begun')\n    time.sleep(30)\n",
    ],
    ids=["ends at SIGTERM", "ends at SIGKILL"],
)
async def test_a_timeout_ends_the_environment(bench: Bench, code: str) -> None:
    environment = bench.environment(code, timeout_s=0.3)
    given = event()
    invocation = await environment.invoke(given)
    error = error_of(invocation)
    pattern = rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z {given.request_id} Task timed out after 0\.30 seconds"
    assert list(error) == ["errorMessage"]
    assert re.fullmatch(pattern, error["errorMessage"])
    assert environment.ended
    assert bench.processes() == []
    tail = invocation.log_tail.decode()
    assert "begun\n" in tail
    assert error["errorMessage"] + "\n" in tail
    assert tail.endswith("\tStatus: timeout\t\n")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("os._exit(7)", "Runtime exited with error: exit status 7"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("os.abort()", "Runtime exited with error: signal: aborted"),
        ("sys.exit(4)", "Runtime exited with error: exit status 4"),
    ],
)
async def test_a_process_that_ends_is_reported(bench: Bench, statement: str, message: str) -> None:
    code = f"import os, sys\ndef handler(event, context):\n    print('dying', end='', flush=True)\n    {statement}\n"
    environment = bench.environment(code)
    given = event()
    invocation = await environment.invoke(given)
    text = f"RequestId: {given.request_id} Error: {message}"
    assert error_of(invocation) == {"errorType": "Runtime.ExitError", "errorMessage": text}
    assert environment.ended
    assert invocation.memory_used_mb > 0
    tail = invocation.log_tail.decode().splitlines()
    assert tail[1:4] == ["dying", text, "Runtime.ExitError"]
    assert "Status: error\tError Type: Runtime.ExitError" in tail[-1]


async def test_an_exit_in_a_node_handler_is_reported(bench: Bench) -> None:
    environment = bench.environment("exports.handler = async () => process.exit(5);", NODE)
    assert error_of(await environment.invoke(event()))["errorMessage"].endswith("exit status 5")


FORKS = """
import os, time
def handler(event, context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            print("orphan", os.getpid(), flush=True)
            time.sleep(60)
        os._exit(0)
    os.wait()
    if event == "exit":
        os._exit(1)
    if event == "hang":
        time.sleep(60)
"""


@pytest.mark.parametrize("how", ["stop", "exit", "hang"])
async def test_a_handler_that_forks_leaves_nothing_behind(bench: Bench, how: str) -> None:
    environment = bench.environment(FORKS, timeout_s=0.4)
    await environment.invoke(event(how))
    if how == "stop":
        assert len(bench.processes()) == 2, "the orphan lives as long as its environment"
        await environment.stop()
    assert bench.processes() == []


async def test_a_function_that_kills_its_keeper_kills_itself(bench: Bench) -> None:
    code = "import os, time\ndef handler(event, context):\n    os.kill(os.getppid(), 9)\n    time.sleep(60)\n"
    environment = bench.environment(code)
    assert error_of(await environment.invoke(event()))["errorMessage"].endswith("signal: killed")
    assert environment.ended


async def test_cancelling_an_invocation_ends_its_environment(bench: Bench) -> None:
    environment = bench.environment("import time\ndef handler(event, context):\n    time.sleep(60)\n")
    assert await environment.start() is None
    invoking = asyncio.create_task(environment.invoke(event()))
    await asyncio.sleep(0)
    invoking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await invoking
    assert environment.ended
    assert bench.processes() == []


# Limits


async def test_a_python_function_cannot_take_more_memory_than_it_has(bench: Bench, python: Interpreters) -> None:
    code = "def handler(event, context):\n    return len(bytearray(event * 2**20))\n"
    environment = bench.environment(code, interpreters=python, memory_mb=128)
    assert result_of(await environment.invoke(event(90))) == 90 * 2**20
    assert error_of(await environment.invoke(event(250)))["errorType"] == "MemoryError"
    assert result_of(await environment.invoke(event(1))) == 2**20


async def test_a_node_function_that_takes_more_memory_than_it_has_is_aborted(bench: Bench) -> None:
    code = "exports.handler = async () => { const a = []; for (;;) a.push(new Array(100000).fill(1.5)); };"
    environment = bench.environment(code, NODE, memory_mb=128, timeout_s=20)
    invocation = await environment.invoke(event())
    assert error_of(invocation)["errorMessage"].endswith("Runtime exited with error: signal: aborted")
    assert invocation.memory_used_mb > 100


# Output


async def test_the_log_is_told_the_whole_story(bench: Bench, python: Interpreters) -> None:
    code = """
import logging, sys
print("init ü")
def handler(event, context):
    print("out")
    print("err", file=sys.stderr)
    logging.getLogger().warning("logged")
    return 1
"""
    environment = bench.environment(code, interpreters=python)
    given = event()
    invocation = await environment.invoke(given)
    request_id = given.request_id
    first, start, out, err, logged, end, report = bench.lines()
    assert first == "init ü"
    assert start == f"START RequestId: {request_id} Version: $LATEST"
    assert (out, err) == ("out", "err")
    assert re.fullmatch(rf"\[WARNING\]\t\d{{4}}-\S+Z\t{request_id}\tlogged", logged)
    assert end == f"END RequestId: {request_id}"
    fields = re.fullmatch(
        rf"REPORT RequestId: {request_id}\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms\tMemory Size: 128 MB\t"
        r"Max Memory Used: (\d+) MB\tInit Duration: ([\d.]+) ms\t",
        report,
    )
    assert fields is not None
    assert float(fields[1]) + float(fields[4]) == pytest.approx(int(fields[2]), abs=1.1)
    assert 5 < int(fields[3]) < 100
    assert invocation.log_tail.decode() == "".join(f"{x}\n" for x in (start, out, err, logged, end, report))
    stamps = [(e.request_id, e.stream) for e in bench.log.read()]
    assert stamps[1] == (request_id, environment.log_stream)
    second = await environment.invoke(event())
    assert "Init Duration" not in second.log_tail.decode()


async def test_node_says_who_says_it(bench: Bench) -> None:
    code = "exports.handler = async () => { console.log('a\\nb', {c: 1}); console.error('ü'); process.stdout.write('raw'); };"
    given = event()
    invocation = await bench.environment(code, NODE).invoke(given)
    _, first, second, third, *_ = invocation.log_tail.decode().split("\n")
    assert re.fullmatch(rf"\S+Z\t{given.request_id}\tINFO\ta\rb \{{ c: 1 \}}", first)
    assert re.fullmatch(rf"\S+Z\t{given.request_id}\tERROR\tü", second)
    assert third == "raw"


async def test_the_tail_is_the_last_four_kilobytes(bench: Bench) -> None:
    code = "def handler(event, context):\n    for i in range(3000):\n        print('line', i)\n"
    invocation = await bench.environment(code, timeout_s=10).invoke(event())
    assert len(invocation.log_tail) == 4096
    assert invocation.log_tail.endswith(b"\t\n")
    assert b"\nline 2999\nEND " in invocation.log_tail
    assert len([line for line in bench.lines() if line.startswith("line ")]) == 3000


@pytest.mark.parametrize("text", ["y\\n", "é", "\\n" * 5000], ids=["lines", "no line end", "empty lines"])
async def test_endless_output_costs_a_bounded_amount(bench: Bench, text: str) -> None:
    code = (
        f"import os\ndef handler(event, context):\n    while True:\n        os.write(1, ('{text}' * 1000).encode())\n"
    )
    environment = bench.environment(code, timeout_s=0.5)
    loop = asyncio.get_running_loop()
    longest, last = 0.0, loop.time()

    async def watch() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.005)
            longest, last = max(longest, loop.time() - last), loop.time()

    used = os.times()
    watching = asyncio.create_task(watch())
    invocation = await environment.invoke(event())
    watching.cancel()
    now = os.times()
    assert error_of(invocation)["errorMessage"].endswith("seconds")
    assert now.user + now.system - used.user - used.system < 0.4, "the broker has better things to do"
    assert longest < 0.4, "the event loop goes on"
    assert len(bench.log) <= 10_000
    assert len(invocation.log_tail) <= 4096


async def test_a_line_without_an_end_is_cut_between_characters(bench: Bench) -> None:
    code = "import sys\ndef handler(event, context):\n    sys.stdout.write('x' + 'é' * 300_000)\n"
    await bench.environment(code, timeout_s=10).invoke(event())
    lines = [line for line in bench.lines() if "é" in line]
    assert "".join(lines) == "x" + "é" * 300_000
    assert all(len(line.encode()) <= 256 * 1024 for line in lines)


# Variables


async def test_reserved_variables_win_over_the_functions_own(bench: Bench) -> None:
    code = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"
    variables = {"AWS_REGION": "mars", "_HANDLER": "x", "OWN": "ü", "TZ": "Europe/Vienna", "PYTHONPATH": "/own"}
    environment = bench.environment(
        code,
        variables=variables,
        layer_directories=(bench.directory / "low", bench.directory / "high"),
        endpoint_url="http://127.0.0.1:4566",
        memory_mb=256,
    )
    found = result_of(await environment.invoke(event()))
    high, low = bench.directory / "high", bench.directory / "low"
    expected = {
        "_HANDLER": "app.handler",
        "OWN": "ü",
        "TZ": "Europe/Vienna",
        "LANG": "en_US.UTF-8",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "123456789012",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
        "AWS_LAMBDA_FUNCTION_NAME": "greet",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/greet",
        "AWS_LAMBDA_LOG_STREAM_NAME": environment.log_stream,
        "LAMBDA_TASK_ROOT": str(bench.directory),
        "PYTHONPATH": f"/own:{high}/python:{high}/python/lib/python3.12/site-packages"
        f":{low}/python:{low}/python/lib/python3.12/site-packages",
    }
    assert {name: found[name] for name in expected} == expected
    assert found["PATH"].startswith(f"{high}/bin:{low}/bin:")
    assert "PYTEST_CURRENT_TEST" not in found, "the broker's own variables are its own"


@pytest.mark.parametrize(
    ("runtime", "file", "layer", "code"),
    [
        (
            "python3.12",
            "python/shared.py",
            "NAME = 'LAYER'\n",
            "import shared\ndef handler(e, c):\n    return shared.NAME\n",
        ),
        (
            NODE,
            "nodejs/node_modules/shared/index.js",
            "exports.name = 'LAYER';",
            "const shared = require('shared');\nexports.handler = async () => shared.name;",
        ),
    ],
)
async def test_the_last_layer_comes_first(bench: Bench, runtime: str, file: str, layer: str, code: str) -> None:
    layers = (bench.directory / "low", bench.directory / "high")
    for directory in layers:
        (directory / file).parent.mkdir(parents=True)
        (directory / file).write_text(layer.replace("LAYER", directory.name))
    environment = bench.environment(code, runtime, layer_directories=layers)
    assert result_of(await environment.invoke(event())) == "high"


async def test_environments_work_beside_each_other(bench: Bench) -> None:
    code = """
import os, time
def handler(event, context):
    open(f"here-{event}", "w").close()
    until = time.time() + 5
    while len([name for name in os.listdir(".") if name.startswith("here-")]) < 4 and time.time() < until:
        time.sleep(0.01)
    return event
"""
    environments = [bench.environment(code, timeout_s=10) for _ in range(4)]
    invocations = await asyncio.gather(*(e.invoke(event(i)) for i, e in enumerate(environments)))
    assert [result_of(invocation) for invocation in invocations] == [0, 1, 2, 3]
    assert max(invocation.duration_ms for invocation in invocations) < 5_000
