"""Settings: flags over environment over pombo.toml over defaults; a bad one is refused by name, with what was expected."""

from pathlib import Path
from typing import Any

import pytest

from broker.config import Config, load
from broker.declared import ConfigError


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "pombo.toml"
    path.write_text(text)
    return str(path)


def test_the_defaults_are_local_and_durable(tmp_path: Path) -> None:
    config = load({}, {}, write(tmp_path, ""))
    assert config == Config()
    assert (config.host, config.port, config.synchronous) == ("127.0.0.1", 4566, "full")


def test_flags_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, '[server]\nport = 1\ndata = "file"\nclock = "manual"\n')
    config = load({"port": "3", "data": None}, {"POMBO_PORT": "2", "POMBO_DATA": "environment"}, file)
    assert (config.port, config.data, config.clock) == (3, "environment", "manual")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("port", "70000", "a port from 0 to 65535"),
        ("port", "x", "a port"),
        ("synchronous", "sometimes", "full, normal, off"),
        ("clock", "cuckoo", "system, manual"),
        ("cooldowns", "maybe", "on or off"),
        ("log_format", "xml", "text, json"),
        ("host", "", "a text"),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(tmp_path: Path, name: str, value: str, expected: str) -> None:
    empty = write(tmp_path, "")
    with pytest.raises(ConfigError, match=expected) as flag:
        load({name: value}, {}, empty)
    assert f"--{name.replace('_', '-')} is {value!r}" in str(flag.value)
    with pytest.raises(ConfigError, match=f"POMBO_{name.upper()} is"):
        load({}, {f"POMBO_{name.upper()}": value}, empty)


def test_queues_are_declared_by_name(tmp_path: Path) -> None:
    text = """
        [queues.orders]
        dead_letter_queue = "failed"
        max_receive_count = 3
        attributes = { VisibilityTimeout = 60, FifoQueue = true }
        tags = { team = "shop" }
        [queues.failed]
    """
    orders, failed = load({}, {}, write(tmp_path, text)).queues
    assert orders.attributes == {"VisibilityTimeout": "60", "FifoQueue": "true"}
    assert (orders.dead_letter_queue, orders.max_receive_count, orders.tags) == ("failed", 3, {"team": "shop"})
    assert failed.name == "failed"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[sever]", "sever"),
        ("[server]\nprot = 1", "server.prot"),
        ("[queues.a]\ncolour = 1", "queues.a.colour"),
        ("[queues.a]\nattributes = 1", "queues.a.attributes"),
        ("[queues.a]\naccount = '1'", "queues.a.account"),
        ("[queues.a]\nmax_receive_count = 0", "queues.a.max_receive_count"),
        ("[queues.a]\nmax_receive_count = 3", "queues.a.max_receive_count is 3; expected a dead_letter_queue"),
        ("[queues.a]\nmax_receive_count = true", "queues.a.max_receive_count is True; expected a number"),
        ("[queues.a]\nregion = 1", "queues.a.region is 1; expected a text"),
        ("[queues.a]\nregion = ''", "queues.a.region is ''; expected a text"),
        ("[queues.a]\nregion = 'eu west'", "queues.a.region is 'eu west'; expected a region's name"),
        ("[queues.a]\nregion = 'eu:west/1'", "queues.a.region is 'eu:west/1'; expected a region's name"),
        ("[queues.a]\nattributes = { VisibilityTimeout = 1.5 }", "queues.a.attributes.VisibilityTimeout is 1.5"),
        ("[queues.a]\ntags = { team = ['x'] }", "queues.a.tags.team is .*; expected a text"),
        ("[queues.a]\ndead_letter_queue = 'b'\nattributes = { RedrivePolicy = '{}' }", "not both"),
        ("[queues]\na = 1", "queues.a is 1; expected a table"),
        ("server = 1", "server is 1; expected a table"),
        ("[server]\nport = true", "server.port is True; expected a port"),
        ("[server]\nqueues = 1", "server.queues; expected one of host, port"),
        ("[server]\nallowed_hosts = [1]", "server.allowed_hosts is .*; expected names"),
        ("queues = 1", "queues"),
        ("topics = 1", "topics is 1; expected tables"),
        ("[topics.a]\ncolour = 1", "topics.a.colour is not known"),
        ("[topics.a]\nsubscriptions = 1", "topics.a.subscriptions is 1; expected tables"),
        ("[[topics.a.subscriptions]]\nqueue = 1", r"topics.a.subscriptions\[0\].queue is 1; expected a text"),
        ("[[topics.a.subscriptions]]", r"topics.a.subscriptions\[0\] has no endpoint; expected queue, or protocol"),
        (
            "[[topics.a.subscriptions]]\nqueue = 'q'\nprotocol = 'sqs'",
            r"subscriptions\[0\] has protocol, queue; expected",
        ),
        ("[email]\nserver = 'x:25'", "unknown setting email.server; expected smtp"),
        ("[email]\nsmtp = 'x'", "email.smtp is 'x'; expected the HOST:PORT of a mail server"),
        ("email = 1", "email is 1; expected a table"),
        ("[sns]\ncertificate_base = 'x'", "sns.certificate_base is 'x'; expected https://HOST"),
        ("[server]\nsmtp = 'x:25'", "unknown setting server.smtp"),
        ("[server", "not valid TOML"),
    ],
)
def test_what_pombo_toml_gets_wrong_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load({}, {}, write(tmp_path, text))


def test_names_that_are_allowed_come_as_a_list_or_with_commas(tmp_path: Path) -> None:
    empty = write(tmp_path, "")
    assert load({"allowed_hosts": "Pombo, queues.example,"}, {}, empty).allowed_hosts == ("pombo", "queues.example")
    named = write(tmp_path, '[server]\nallowed_hosts = ["pombo", "queues.example"]\n')
    assert load({}, {}, named).allowed_hosts == ("pombo", "queues.example")


def test_switches_are_said_in_each_sources_own_way(tmp_path: Path) -> None:
    file = write(tmp_path, "[server]\ncooldowns = true\n")
    assert load({}, {}, file).cooldowns
    assert not load({}, {"POMBO_COOLDOWNS": "off"}, file).cooldowns
    assert load({"cooldowns": "on"}, {"POMBO_COOLDOWNS": "off"}, file).cooldowns


def test_an_error_names_the_file_that_it_stands_in(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text("[server]\nport = 'x'\n")
    with pytest.raises(ConfigError, match=r"^other\.toml: server\.port is 'x'; expected a port"):
        load({}, {"POMBO_CONFIG": str(path)})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load({}, {}, str(tmp_path / "none.toml"))


def test_pombo_toml_is_read_where_the_broker_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "[server]\nport = 7\n")
    monkeypatch.chdir(tmp_path)
    settings: dict[str, Any] = {}
    assert load(settings, {}).port == 7
