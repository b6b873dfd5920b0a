"""Platform applications: made, listed, changed, deleted. Source: SNS API Reference."""

import json

import pytest

from tests.sns.conftest import MakeSns, MakeTopic
from tests.sns.platforms import CREDENTIALS, SECRET, Application, create_application
from tests.sns.topics import Sns
from tests.sqs.queues import refused

PLATFORMS = [
    "ADM",
    "APNS",
    "APNS_SANDBOX",
    "APNS_VOIP",
    "APNS_VOIP_SANDBOX",
    "MACOS",
    "MACOS_SANDBOX",
    "GCM",
    "BAIDU",
    "MPNS",
    "WNS",
]
NO_APPLICATION = "PlatformApplication does not exist"


def listed(sns: Sns) -> list[str]:
    pages = sns.get_paginator("list_platform_applications").paginate()
    return [a["PlatformApplicationArn"] for page in pages for a in page["PlatformApplications"]]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platforms_arn_names_it(sns: Sns, account: str, platform: str) -> None:
    application = create_application(sns, "My.App_1-x", platform)
    assert application.arn == f"arn:aws:sns:us-east-1:{account}:app/{platform}/My.App_1-x"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("missing", ["PlatformCredential", "PlatformPrincipal"])
def test_credentials_are_required_but_firebase_has_no_principal(sns: Sns, platform: str, missing: str) -> None:
    given = {name: value for name, value in CREDENTIALS.items() if name != missing}
    if platform == "GCM" and missing == "PlatformPrincipal":
        sns.create_platform_application(Name="app", Platform=platform, Attributes=given)
    else:
        with refused("InvalidParameter", text="Invalid parameter: Attributes Reason: Platform credentials are invalid"):
            sns.create_platform_application(Name="app", Platform=platform, Attributes=given)


@pytest.mark.parametrize("platform", ["", "FCM", "apns"])
def test_an_unknown_platform_is_refused(sns: Sns, platform: str) -> None:
    with refused("InvalidParameter"):
        create_application(sns, platform=platform)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 257])
def test_a_name_has_up_to_256_letters_digits_underscores_hyphens_and_periods(sns: Sns, name: str) -> None:
    create_application(sns, "x" * 256)
    with refused("InvalidParameter"):
        create_application(sns, name)


def test_credentials_are_never_returned(sns: Sns) -> None:
    application = create_application(sns)
    application.set(PlatformCredential="another")
    assert not CREDENTIALS.keys() & application.attributes().keys()
    (shown,) = sns.list_platform_applications()["PlatformApplications"]
    assert shown["PlatformApplicationArn"] == application.arn
    assert shown["Attributes"] == application.attributes()
    assert SECRET not in json.dumps(shown)


def test_an_application_is_enabled_at_first(sns: Sns) -> None:
    assert create_application(sns, platform="ADM").attributes() == {"Enabled": "true"}


def test_how_apple_and_firebase_know_the_sender(sns: Sns) -> None:
    team = {"ApplePlatformTeamID": "team", "ApplePlatformBundleID": "com.example.app"}
    by_token = create_application(sns, "token", "APNS", **team).attributes()
    assert by_token == {"Enabled": "true", "AuthenticationMethod": "token", **team}
    assert create_application(sns, "certificate", "APNS").attributes()["AuthenticationMethod"] == "certificate"
    service = json.dumps({"type": "service_account"})
    firebase = create_application(sns, "firebase", "GCM", PlatformCredential=service)
    assert firebase.attributes()["AuthenticationMethod"] == "token"
    firebase.set(PlatformCredential="a key")
    assert firebase.attributes()["AuthenticationMethod"] == "key"


def test_an_application_made_again_is_the_same(sns: Sns, make_topic: MakeTopic) -> None:
    application = create_application(sns, SuccessFeedbackSampleRate="50")
    application.set(EventEndpointCreated=make_topic().arn)
    assert create_application(sns, SuccessFeedbackSampleRate="50") == application
    assert len(listed(sns)) == 1


@pytest.mark.parametrize("different", [{"PlatformCredential": "x"}, {"SuccessFeedbackSampleRate": "50"}])
def test_an_application_made_again_must_have_the_given_attributes(sns: Sns, different: dict[str, str]) -> None:
    create_application(sns, SuccessFeedbackSampleRate="100")
    with refused("InvalidParameter"):
        create_application(sns, **different)


def test_attributes_are_set_kept_and_taken_away(sns: Sns, make_topic: MakeTopic) -> None:
    application = create_application(sns, platform="WNS")
    topic = make_topic()
    role = "arn:aws:iam::111111111111:role/feedback"
    given = {
        "EventEndpointCreated": topic.arn,
        "EventEndpointUpdated": topic.arn,
        "EventEndpointDeleted": topic.arn,
        "EventDeliveryFailure": topic.arn,
        "SuccessFeedbackRoleArn": role,
        "FailureFeedbackRoleArn": role,
        "SuccessFeedbackSampleRate": "10",
    }
    application.set(**given)
    assert application.attributes() == {"Enabled": "true", **given}
    application.set(EventDeliveryFailure="", Enabled="false")
    del given["EventDeliveryFailure"]
    assert application.attributes() == {"Enabled": "false", **given}


@pytest.mark.parametrize(
    "wrong",
    [
        {"Nonsense": "x"},
        {"Enabled": "maybe"},
        {"SuccessFeedbackSampleRate": "101"},
        {"SuccessFeedbackSampleRate": "-1"},
        {"EventEndpointCreated": "no arn"},
        {"ApplePlatformTeamID": "only Apple has teams"},
        {"PlatformCredential": ""},
    ],
)
def test_wrong_attributes_are_refused_and_nothing_is_changed(sns: Sns, wrong: dict[str, str]) -> None:
    application = create_application(sns)
    before = application.attributes()
    with refused("InvalidParameter"):
        application.set(**{"FailureFeedbackRoleArn": "arn:aws:iam::111111111111:role/feedback", **wrong})
    assert application.attributes() == before
    with refused("InvalidParameter"):
        create_application(sns, "another", **wrong)


def test_applications_are_listed_100_at_a_time(sns: Sns) -> None:
    made = sorted(create_application(sns, f"app-{n}").arn for n in range(103))
    first = sns.list_platform_applications()
    assert len(first["PlatformApplications"]) == 100
    second = sns.list_platform_applications(NextToken=first["NextToken"])
    assert len(second["PlatformApplications"]) == 3
    assert "NextToken" not in second
    assert listed(sns) == made


def test_a_foreign_token_is_refused(sns: Sns) -> None:
    with refused("InvalidParameter"):
        sns.list_platform_applications(NextToken="nonsense")


def test_regions_and_accounts_are_apart(sns: Sns, sns_of: MakeSns) -> None:
    application = create_application(sns)
    elsewhere = sns_of(region="eu-west-1")
    assert listed(elsewhere) == []
    with refused("InvalidParameter"):
        Application(elsewhere, application.arn).attributes()
    assert create_application(elsewhere).arn != application.arn


def test_a_deleted_application_is_gone_with_its_endpoints(sns: Sns) -> None:
    application = create_application(sns)
    endpoint = application.create_endpoint()
    application.delete()
    assert listed(sns) == []
    with refused("NotFound", text="Endpoint does not exist", status=404):
        sns.get_endpoint_attributes(EndpointArn=endpoint)
    application.delete()
    again = create_application(sns)
    assert again == application
    assert again.endpoints() == {}


def test_an_unknown_application_is_not_found(sns: Sns, account: str) -> None:
    missing = Application(sns, f"arn:aws:sns:us-east-1:{account}:app/GCM/missing")
    with refused("NotFound", text=NO_APPLICATION, status=404):
        missing.attributes()
    with refused("NotFound", text=NO_APPLICATION, status=404):
        missing.set(Enabled="true")
    with refused("NotFound", text=NO_APPLICATION, status=404):
        missing.create_endpoint()
    with refused("NotFound", text=NO_APPLICATION, status=404):
        sns.list_endpoints_by_platform_application(PlatformApplicationArn=missing.arn)


def test_what_is_no_arn_of_an_application_is_refused(sns: Sns) -> None:
    text = "Invalid parameter: PlatformApplicationArn Reason: An ARN must have at least 6 elements, not 1"
    with refused("InvalidParameter", text=text):
        Application(sns, "nonsense").attributes()
    with refused("InvalidParameter"):
        Application(sns, "arn:aws:sns:us-east-1:111111111111:topic").attributes()
