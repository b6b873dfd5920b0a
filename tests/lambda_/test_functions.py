"""Creating, showing, changing and deleting functions. Source: Lambda API Reference; AWS_SEMANTICS C1."""

import base64
import hashlib
from typing import Any

import pytest

from tests.lambda_.api import ECHO, ROLE, Lambda, create, zipped
from tests.sqs.queues import refused


def test_a_function_is_described(functions: Lambda, account: str) -> None:
    archive = zipped({"app.py": ECHO})
    reply = create(functions, Code={"ZipFile": archive}, Description="gives back", Timeout=5, MemorySize=256)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert reply["FunctionArn"] == f"arn:aws:lambda:us-east-1:{account}:function:echo"
    assert reply["CodeSha256"] == base64.b64encode(hashlib.sha256(archive).digest()).decode()
    assert reply["CodeSize"] == len(archive)
    assert (reply["Runtime"], reply["Handler"], reply["Role"]) == ("python3.11", "app.handler", ROLE)
    assert (reply["Description"], reply["Timeout"], reply["MemorySize"]) == ("gives back", 5, 256)
    assert (reply["Version"], reply["PackageType"]) == ("$LATEST", "Zip")


def test_the_defaults_are_awss(functions: Lambda) -> None:
    reply = create(functions)
    assert (reply["Timeout"], reply["MemorySize"], reply["Description"]) == (3, 128, "")
    assert reply["Architectures"] == ["x86_64"]
    assert reply["EphemeralStorage"] == {"Size": 512}
    assert reply["TracingConfig"] == {"Mode": "PassThrough"}


def test_waiters_end(functions: Lambda) -> None:
    create(functions)
    for waiter in (
        "function_exists",
        "function_active",
        "function_active_v2",
        "function_updated",
        "function_updated_v2",
    ):
        functions.get_waiter(waiter).wait(FunctionName="echo", WaiterConfig={"Delay": 0, "MaxAttempts": 1})


def test_a_name_is_taken_once(functions: Lambda) -> None:
    create(functions)
    with refused("ResourceConflictException", text="Function already exist: echo", status=409):
        create(functions)


@pytest.mark.parametrize(
    "name", ["echo", "{account}:function:echo", "arn:aws:lambda:us-east-1:{account}:function:echo"]
)
def test_a_function_is_found_by_name_and_by_arn(functions: Lambda, account: str, name: str) -> None:
    create(functions)
    found = functions.get_function(FunctionName=name.format(account=account))
    assert found["Configuration"]["FunctionName"] == "echo"
    assert found["Configuration"]["State"] == "Active"


def test_the_code_can_be_fetched(functions: Lambda, broker: Any) -> None:
    archive = zipped({"app.py": ECHO})
    create(functions, Code={"ZipFile": archive})
    location = functions.get_function(FunctionName="echo")["Code"]["Location"]
    status, _, body = broker.request("GET", location.removeprefix(broker.url))
    assert (status, body) == (200, archive)


def test_what_is_not_there_is_not_found(functions: Lambda, account: str) -> None:
    text = f"Function not found: arn:aws:lambda:us-east-1:{account}:function:echo"
    for call in (
        functions.get_function,
        functions.get_function_configuration,
        functions.invoke,
        functions.delete_function,
    ):
        with refused("ResourceNotFoundException", text=text, status=404):
            call(FunctionName="echo")


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"FunctionName": "a b"}, "ValidationException"),
        ({"FunctionName": "x" * 65}, "ValidationException"),
        ({"Role": "nobody"}, "ValidationException"),
        ({"Runtime": "cobol"}, "InvalidParameterValueException"),
        ({"Timeout": 0}, "ValidationException"),
        ({"Timeout": 901}, "ValidationException"),
        ({"MemorySize": 127}, "ValidationException"),
        ({"MemorySize": 10_241}, "ValidationException"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException"),
        ({"Environment": {"Variables": {"A" * 10: "x" * 4_096}}}, "InvalidParameterValueException"),
        ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException"),
        ({"Code": {}}, "InvalidParameterValueException"),
        ({"Code": {"S3Bucket": "b", "S3Key": "k"}}, "InvalidParameterValueException"),
        ({"Code": {"ZipFile": zipped({"../outside.py": "x"})}}, "InvalidParameterValueException"),
        ({"PackageType": "Image", "Code": {"ImageUri": "x"}}, "InvalidParameterValueException"),
        ({"DeadLetterConfig": {"TargetArn": "x"}}, "InvalidParameterValueException"),
    ],
)
def test_a_bad_parameter_is_refused(functions: Lambda, parameters: dict[str, Any], code: str) -> None:
    with refused(code):
        create(functions, **parameters)
    assert functions.list_functions()["Functions"] == []


def test_a_configuration_is_changed_bit_by_bit(functions: Lambda) -> None:
    before = create(functions, Timeout=5, Environment={"Variables": {"MODE": "a"}})
    after = functions.update_function_configuration(FunctionName="echo", MemorySize=512)
    assert (after["Timeout"], after["MemorySize"], after["Environment"]) == (5, 512, {"Variables": {"MODE": "a"}})
    assert after["RevisionId"] != before["RevisionId"]


def test_a_revision_that_is_not_the_newest_is_refused(functions: Lambda) -> None:
    revision = create(functions)["RevisionId"]
    functions.update_function_configuration(FunctionName="echo", Timeout=5, RevisionId=revision)
    with refused("PreconditionFailedException", status=412):
        functions.update_function_configuration(FunctionName="echo", Timeout=6, RevisionId=revision)


def test_versions_keep_what_they_were_made_of(functions: Lambda, account: str) -> None:
    create(functions, Description="one")
    first = functions.publish_version(FunctionName="echo")
    assert (first["Version"], first["Description"]) == ("1", "one")
    assert first["FunctionArn"] == f"arn:aws:lambda:us-east-1:{account}:function:echo:1"
    assert functions.publish_version(FunctionName="echo")["Version"] == "1"  # nothing has changed
    functions.update_function_configuration(FunctionName="echo", Description="two")
    assert functions.publish_version(FunctionName="echo")["Version"] == "2"
    assert functions.get_function_configuration(FunctionName="echo", Qualifier="1")["Description"] == "one"
    versions = functions.list_versions_by_function(FunctionName="echo")["Versions"]
    assert [v["Version"] for v in versions] == ["$LATEST", "1", "2"]
    functions.delete_function(FunctionName="echo", Qualifier="1")
    with refused("ResourceNotFoundException", status=404):
        functions.get_function_configuration(FunctionName="echo", Qualifier="1")


def test_aliases_name_versions(functions: Lambda, account: str) -> None:
    create(functions, Publish=True)
    functions.update_function_configuration(FunctionName="echo", Description="two")
    functions.publish_version(FunctionName="echo")
    made = functions.create_alias(FunctionName="echo", Name="live", FunctionVersion="1")
    assert made["AliasArn"] == f"arn:aws:lambda:us-east-1:{account}:function:echo:live"
    with refused("ResourceConflictException", status=409):
        functions.create_alias(FunctionName="echo", Name="live", FunctionVersion="2")
    changed = functions.update_alias(
        FunctionName="echo", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    assert changed["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    assert functions.get_function_configuration(FunctionName="echo", Qualifier="live")["Version"] == "1"
    assert [a["Name"] for a in functions.list_aliases(FunctionName="echo")["Aliases"]] == ["live"]
    with refused("ResourceConflictException", status=409):
        functions.delete_function(FunctionName="echo", Qualifier="2")
    functions.delete_alias(FunctionName="echo", Name="live")
    functions.delete_alias(FunctionName="echo", Name="live")
    with refused("ResourceNotFoundException", status=404):
        functions.get_alias(FunctionName="echo", Name="live")


def test_functions_are_listed_in_pages(functions: Lambda) -> None:
    names = {f"f{number:02}" for number in range(60)}
    for name in names:
        create(functions, name)
    first = functions.list_functions()
    second = functions.list_functions(Marker=first["NextMarker"])
    assert (len(first["Functions"]), len(second["Functions"])) == (50, 10)
    assert {f["FunctionName"] for page in (first, second) for f in page["Functions"]} == names
    assert "NextMarker" not in second


def test_tags_policies_and_concurrency_are_kept(functions: Lambda) -> None:
    arn = create(functions, Tags={"team": "loft"})["FunctionArn"]
    functions.tag_resource(Resource=arn, Tags={"kind": "bird"})
    functions.untag_resource(Resource=arn, TagKeys=["team"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"kind": "bird"}
    given = {
        "FunctionName": "echo",
        "StatementId": "sns",
        "Action": "lambda:InvokeFunction",
        "Principal": "sns.amazonaws.com",
    }
    functions.add_permission(**given)
    with refused("ResourceConflictException", status=409):
        functions.add_permission(**given)
    assert '"Service":"sns.amazonaws.com"' in functions.get_policy(FunctionName="echo")["Policy"]
    functions.remove_permission(FunctionName="echo", StatementId="sns")
    with refused("ResourceNotFoundException", status=404):
        functions.get_policy(FunctionName="echo")
    functions.put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=2)
    assert functions.get_function_concurrency(FunctionName="echo")["ReservedConcurrentExecutions"] == 2
    functions.delete_function_concurrency(FunctionName="echo")
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName="echo")


def test_layers_have_versions(functions: Lambda, account: str) -> None:
    content = {"ZipFile": zipped({"python/pigeons.py": "COUNT = 2\n"})}
    one = functions.publish_layer_version(LayerName="birds", Content=content, CompatibleRuntimes=["python3.11"])
    assert one["LayerVersionArn"] == f"arn:aws:lambda:us-east-1:{account}:layer:birds:1"
    assert functions.publish_layer_version(LayerName="birds", Content=content)["Version"] == 2
    assert [v["Version"] for v in functions.list_layer_versions(LayerName="birds")["LayerVersions"]] == [2, 1]
    assert functions.list_layers()["Layers"][0]["LatestMatchingVersion"]["Version"] == 2
    functions.delete_layer_version(LayerName="birds", VersionNumber=1)
    with refused("ResourceNotFoundException", status=404):
        functions.get_layer_version(LayerName="birds", VersionNumber=1)


def test_an_operation_that_is_not_there_is_awss_error(functions: Lambda) -> None:
    with refused("UnknownOperationException", status=404):
        functions.list_code_signing_configs()
