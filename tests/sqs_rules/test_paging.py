"""Pages of queue lists and their tokens. Source: SQS API Reference, ListQueues."""

import msgspec
import pytest

from broker.core.errors import InvalidParameterValue
from broker.core.settings import QueueName
from broker.services.sqs.paging import check_max_results, cut_page, read_token

NAMES = [QueueName("123456789012", "us-east-1", f"queue-{n}") for n in range(3)]


def test_a_token_leads_to_the_name_after_the_page() -> None:
    page, token = cut_page(NAMES, 2)
    assert page == NAMES[:2]
    assert isinstance(token, str)
    assert token not in ("queue-1", "queue-2")
    assert read_token(token) == "queue-1"


def test_the_last_page_has_no_token() -> None:
    assert cut_page(NAMES, 3) == (NAMES, msgspec.UNSET)
    assert cut_page([], 3) == ([], msgspec.UNSET)


def test_without_max_results_there_are_a_thousand_and_no_token() -> None:
    many = [QueueName("123456789012", "us-east-1", f"queue-{n}") for n in range(1001)]
    assert cut_page(many, None) == (many[:1000], msgspec.UNSET)


@pytest.mark.parametrize("token", ["nonsense", "!", "é", "cXVldWUtMQ==", "YWZ0ZXI6/w==", "YWZ0ZXI6_w=="])
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(InvalidParameterValue, match="Invalid or expired next token"):
        read_token(token)


def test_no_token_means_the_first_page() -> None:
    assert read_token(None) == read_token("") == ""


@pytest.mark.parametrize("given", [0, -1, 11])
def test_a_count_out_of_range_is_refused(given: int) -> None:
    with pytest.raises(InvalidParameterValue, match="MaxResults must be an integer between 1 and 10"):
        check_max_results(given, 10)


@pytest.mark.parametrize("given", [None, 1, 10])
def test_a_count_in_range(given: int | None) -> None:
    check_max_results(given, 10)
