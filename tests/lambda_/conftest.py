"""Functions on disk, the environments that run them, and a look at which processes are there; and clients of a broker."""

import json
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import pytest_asyncio
from botocore.config import Config as ClientConfig

from broker.clock import Chance
from broker.services.lambda_.runtime.commands import Interpreters
from broker.services.lambda_.runtime.environment import Environment, Limits
from broker.services.lambda_.runtime.invocation import Event, Invocation
from broker.services.lambda_.runtime.logs import LogRing
from broker.services.lambda_.runtime.pool import Pool
from broker.services.lambda_.runtime.specs import FunctionSpec
from tests.conftest import RunningBroker
from tests.lambda_.api import Lambda
from tests.processes import with_variable
from tests.sns.conftest import MakeTopic, make_topic, sns, sns_of
from tests.sqs.conftest import MakeQueue, eventually, make_queue, queue
from tests.sqs.conftest import make_client as make_sqs_client
from tests.sqs.queues import Sqs

__all__ = ["MakeQueue", "MakeTopic", "eventually", "make_queue", "make_topic", "queue", "sns", "sns_of"]


ARN = "arn:aws:lambda:eu-west-1:123456789012:function:greet"
MARK = "POMBO_TEST_MARK"
CHANCE = Chance()
PYTHON = "python3.12"
NODE = "nodejs20.x"
PROVIDED = "provided.al2023"
OWN = Interpreters(awslambdaric=False)


@dataclass
class Bench:
    """Makes functions in `directory`; all that it starts is stopped after the test."""

    directory: Path
    mark: str
    log: LogRing = field(default_factory=LogRing)
    environments: list[Environment] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)

    def spec(
        self,
        code: str,
        runtime: str = PYTHON,
        *,
        file: str = "",
        handler: str = "",
        variables: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> FunctionSpec:
        defaults = {PYTHON: ("app.py", "app.handler"), NODE: ("app.js", "app.handler"), PROVIDED: ("bootstrap", "x.y")}
        path = self.directory / (file or defaults[runtime][0])
        path.write_text(code)
        if runtime == PROVIDED:
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return FunctionSpec(
            name="greet",
            arn=ARN,
            runtime=runtime,
            handler=handler or defaults[runtime][1],
            code_directory=self.directory,
            variables={MARK: self.mark} | dict(variables or {}),
            **settings,
        )

    def environment(
        self,
        code: str,
        runtime: str = PYTHON,
        *,
        limits: Limits | None = None,
        interpreters: Interpreters = OWN,
        **settings: Any,
    ) -> Environment:
        """One that runs `code`, by our own bootstrap unless told otherwise."""
        spec = self.spec(code, runtime, **settings)
        made = Environment(spec, self.log, CHANCE, limits=limits or Limits(grace_s=0.2), interpreters=interpreters)
        self.environments.append(made)
        return made

    def pool(self, code: str, *, limit: int | None = None, idle_s: float = 60.0, **settings: Any) -> Pool:
        spec = self.spec(code, **settings)
        limits = Limits(grace_s=0.2)
        made = Pool(spec, self.log, CHANCE, limit=limit, idle_s=idle_s, limits=limits, interpreters=OWN)
        self.pools.append(made)
        return made

    def lines(self) -> list[str]:
        return [event.line for event in self.log.read()]

    def processes(self) -> list[int]:
        """The living processes of the functions made here, by a variable that they and theirs have in common."""
        return marked(self.mark)


def marked(mark: str) -> list[int]:
    """The processes with this mark among their environment variables."""
    return with_variable(f"{MARK}={mark}")


_numbers = iter(range(1_000_000))


def event(payload: object = None) -> Event:
    return Event(json.dumps(payload).encode(), f"request-{next(_numbers)}")


def result_of(invocation: Invocation) -> Any:
    """What the function returned, where it failed in nothing."""
    assert invocation.function_error is None, invocation.payload
    return json.loads(invocation.payload)


def error_of(invocation: Invocation) -> dict[str, Any]:
    assert invocation.function_error == "Unhandled"
    error = json.loads(invocation.payload)
    assert isinstance(error, dict)
    return error


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, CHANCE.token().hex())
    yield made
    for environment in made.environments:
        await environment.stop()
    for pool in made.pools:
        await pool.close()
    assert made.processes() == [], "nothing outlives its environment"


@pytest.fixture(params=["awslambdaric", "own"])
def python(request: pytest.FixtureRequest) -> Interpreters:
    """Both ways to run Python functions."""
    return Interpreters(awslambdaric=request.param == "awslambdaric")


# Through the API

_session = botocore.session.Session()  # reads the service model once


@pytest.fixture
def functions(broker: RunningBroker, account: str) -> Iterator[Lambda]:
    """Lambda of the test's account. It checks no parameters itself."""
    client = _session.create_client(
        "lambda",
        region_name="us-east-1",
        endpoint_url=broker.url,
        aws_access_key_id=account,
        aws_secret_access_key="secret",
        config=ClientConfig(
            retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60, parameter_validation=False
        ),
    )
    with closing(client):
        yield client
        # A function that fails is run again and again as another test moves the clock by days.
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
            client.delete_event_source_mapping(UUID=mapping["UUID"])


@pytest.fixture
def sqs(broker: RunningBroker, account: str) -> Iterator[Sqs]:
    """SQS of the same account."""
    with closing(make_sqs_client(broker.url, account)) as client:
        yield client
