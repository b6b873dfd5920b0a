"""What AWS allows of a filter policy: its size, its keys, the combinations of its values.

Source: SNS Developer Guide, "Filter policy constraints". AWS's text for the size is not documented; ours says what it is.
"""

from typing import Final

from broker.services.filtering.refused import PolicyRefused

POLICY_BYTES_MAX: Final = 256 * 1024
KEYS_MAX: Final = 5
COMBINATIONS_MAX: Final = 150


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
