"""What AWS allows of a filter policy: its size, its keys, the combinations of its values, and how many policies there are.

Source: SNS Developer Guide, "Filter policy constraints"; SNS API Reference, FilterPolicyLimitExceeded, which is about the
number of policies. AWS's texts for size and number are not documented; ours say what it is.
"""

from typing import Final

from broker.services.sns.errors import FilterPolicyLimitExceeded, PolicyRefused

POLICY_BYTES_MAX: Final = 256 * 1024
KEYS_MAX: Final = 5
COMBINATIONS_MAX: Final = 150
POLICIES_PER_TOPIC_MAX: Final = 200
POLICIES_PER_ACCOUNT_MAX: Final = 10_000


def check_size(policy: str) -> None:
    """Raises PolicyRefused."""
    if len(policy) > POLICY_BYTES_MAX or len(policy.encode(errors="surrogatepass")) > POLICY_BYTES_MAX:
        raise PolicyRefused(f"FilterPolicy: Filter policy can not be longer than {POLICY_BYTES_MAX} bytes")


def check_keys(keys: int) -> None:
    """Of a policy, and of each alternative that its $or leave. Only top-level keys count. Raises PolicyRefused."""
    if keys > KEYS_MAX:
        raise PolicyRefused(f"FilterPolicy: Filter policy can not have more than {KEYS_MAX} keys")


def check_combinations(combinations: int) -> None:
    """The product, over all arrays, of values times nesting; alternatives of $or add up. Raises PolicyRefused."""
    if combinations > COMBINATIONS_MAX:
        raise PolicyRefused("FilterPolicy: Filter policy is too complex")


def check_policy_counts(in_topic: int, in_account: int) -> None:
    """Whether so many subscriptions may have a filter policy. Raises FilterPolicyLimitExceeded."""
    if in_topic > POLICIES_PER_TOPIC_MAX or in_account > POLICIES_PER_ACCOUNT_MAX:
        raise FilterPolicyLimitExceeded("The number of filter policies exceeds the limit.")
