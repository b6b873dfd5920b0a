"""How many filter policies there may be. AWS's text is not documented; ours says what it is.

Source: SNS Developer Guide, "Filter policy constraints"; SNS API Reference, FilterPolicyLimitExceeded.
"""

from typing import Final

from broker.services.sns.errors import FilterPolicyLimitExceeded

POLICIES_PER_TOPIC_MAX: Final = 200
POLICIES_PER_ACCOUNT_MAX: Final = 10_000


def check_policy_counts(in_topic: int, in_account: int) -> None:
    """Whether so many subscriptions may have a filter policy. Raises FilterPolicyLimitExceeded."""
    if in_topic > POLICIES_PER_TOPIC_MAX or in_account > POLICIES_PER_ACCOUNT_MAX:
        raise FilterPolicyLimitExceeded("The number of filter policies exceeds the limit.")
