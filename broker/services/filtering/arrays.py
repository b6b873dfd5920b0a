"""Several conditions on the same array of objects: they hold together only if one element of the array satisfies all.

{"employees": {"first": ["Anna"], "last": ["Jones"]}} does not match [{"first": "Anna", "last": "Smith"}, {"first": "Peter",
"last": "Jones"}]. Each node of the body is looked at once, however many names lead through it.

Observed: AWS documents this of Event Ruler ("JSON Array Matching"), the engine behind its filters, not of SNS itself.
"""

from collections.abc import Sequence

from broker.services.filtering.input import steps
from broker.services.filtering.rules import Test
from broker.services.filtering.values import read_leaf

Wants = list[tuple[int, int]]  # which of the names, and the place in it where the rest begins
Choices = set[int]  # sets of names, as bits, that can be satisfied together


def hold_together(body: dict[str, object], names: Sequence[tuple[str, Test]]) -> bool:
    """Whether every test holds for a leaf of its name, no two of which come from different elements of one array."""
    everything = (1 << len(names)) - 1
    parents, in_array, found = [-1], [False], [0]
    open_nodes: list[tuple[object, Wants, int]] = [(body, [(index, 0) for index in range(len(names))], 0)]
    while open_nodes:
        node, wants, mine = open_nodes.pop()
        for child, child_wants in _children(node, wants, names):
            if isinstance(child, dict | list):
                open_nodes.append((child, child_wants, len(parents)))
                parents.append(mine)
                in_array.append(isinstance(node, list))
                found.append(0)
            else:
                found[mine] |= _satisfied(child, child_wants, names)
    # Children stand behind their parents, so that going backwards finds them complete.
    choices: list[Choices] = [{0} for _ in parents]
    for mine in range(len(parents) - 1, -1, -1):
        own = _largest({choice | found[mine] for choice in choices[mine]})
        if everything in own:
            return True
        parent = parents[mine]
        if in_array[mine]:
            choices[parent] |= own  # this element or another
        elif parent >= 0:
            choices[parent] = {one | other for one in choices[parent] for other in own}
    return False


def _children(node: object, wants: Wants, names: Sequence[tuple[str, Test]]) -> list[tuple[object, Wants]]:
    """What lies below a node on the way to what is wanted."""
    if isinstance(node, list):
        return [(element, wants) for element in node]
    assert isinstance(node, dict)
    ways: dict[str, Wants] = {}
    for index, place in wants:
        for key, after in steps(node, names[index][0], place):
            ways.setdefault(key, []).append((index, after))
    return [(node[key], ways[key]) for key in ways]


def _satisfied(value: object, wants: Wants, names: Sequence[tuple[str, Test]]) -> int:
    satisfied = 0
    for index, place in wants:
        name, test = names[index]
        if place > len(name) and test((read_leaf(value),)):
            satisfied |= 1 << index
    return satisfied


def _largest(choices: Choices) -> Choices:
    """Without those that another one contains."""
    if len(choices) == 1:
        return choices
    return {one for one in choices if not any(one | other == other != one for other in choices)}
