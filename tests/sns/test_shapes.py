"""Every operation's request and reply have the members of botocore's model, and every error its code and status."""

from functools import cache

import botocore.session
import pytest
from botocore.model import OperationModel, ServiceModel, StructureShape
from msgspec import inspect

from broker.errors import AwsError
from broker.services.sns import SERVICE, errors
from tests.sqs_rules.test_shapes import compare

# Refused with an error of its own: a batch without entries.
_REQUIRED_BY_AWS_ALONE = {("PublishBatch", "PublishBatchRequestEntries")}
# What the model does not list for any operation: AWS's frame around SNS answers with it.
_OF_THE_FRAME = {"ValidationError"}


@cache
def model() -> ServiceModel:
    return botocore.session.Session().get_service_model("sns")


def operation(name: str) -> OperationModel:
    return model().operation_model(name)


def error_classes() -> list[type[AwsError]]:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [c for c in found if issubclass(c, AwsError) and hasattr(c, "query_code")]


def test_the_operations_are_awss() -> None:
    assert set(SERVICE.operations) == set(model().operation_names)
    assert len(SERVICE.operations) == 42


@pytest.mark.parametrize("name", sorted(SERVICE.operations))
def test_requests(name: str) -> None:
    compare(inspect.type_info(SERVICE.operations[name].request), operation(name).input_shape, name, set())


@pytest.mark.parametrize("name", sorted(SERVICE.operations))
def test_replies(name: str) -> None:
    reply, shape = SERVICE.operations[name].reply, operation(name).output_shape
    if shape is None:
        assert reply is None
    else:
        assert reply is not None
        compare(inspect.type_info(reply), shape, name, set())


@pytest.mark.parametrize("name", sorted(SERVICE.operations))
def test_aws_and_we_require_the_same_members(name: str) -> None:
    info = inspect.type_info(SERVICE.operations[name].request)
    assert isinstance(info, inspect.StructType)
    shape = operation(name).input_shape
    assert isinstance(shape, StructureShape)
    ours = {field.encode_name for field in info.fields if field.required}
    assert ours == {m for m in shape.required_members if (name, m) not in _REQUIRED_BY_AWS_ALONE}


@pytest.mark.parametrize("name", sorted(SERVICE.operations))
def test_no_operation_is_sent_to_a_queue(name: str) -> None:
    assert not SERVICE.operations[name].at_queue


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_errors(error: type[AwsError]) -> None:
    if error.query_code in _OF_THE_FRAME:
        return
    (shape,) = (shape for shape in model().error_shapes if shape.error_code == error.query_code)
    assert error.status == shape.metadata.get("error", {}).get("httpStatusCode", 400)
    assert error.sender
