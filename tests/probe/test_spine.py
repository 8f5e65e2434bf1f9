"""The spine: dominators against networkx, what counts as depth and what as time, and graphs too deep for
recursion.
"""

import random

import networkx as nx
import pytest

from livegrad.probe.dominators import ROOT, DominatorTree
from livegrad.probe.graph import DataGraph
from livegrad.probe.spine import find_spine


class Node:
    def __init__(self, number: int) -> None:
        self._number = number

    def _sequence_nr(self) -> int:
        return self._number


def data_graph(inputs: list[list[int]], parameters: dict[int, int]) -> DataGraph:
    """A graph from what each node reads (node 0 is the output); parameters: node -> its parameter."""
    count = len(inputs)
    graph = DataGraph([Node(count - i) for i in range(count)], {}, inputs, [[] for _ in inputs])
    for i, read in enumerate(inputs):
        for k in read:
            graph.consumers[k].append(i)
    graph.parameters = [{parameters[i]} if i in parameters else set() for i in range(count)]
    return graph


def chain(length: int) -> list[list[int]]:
    return [[i + 1] for i in range(length - 1)] + [[]]


@pytest.mark.parametrize("seed", range(60))
def test_dominators_agree_with_networkx(seed):
    draw = random.Random(seed)
    count = draw.randint(1, 60)
    consumers: list[list[int]] = [[]]
    entries = {0}
    for i in range(1, count):
        reach = draw.choice([2, 5, count])
        found = {draw.randrange(max(0, i - reach), i) for _ in range(draw.randint(0, 3))}
        consumers.append(sorted(found))
        if not found:
            entries.add(i)
    reference = nx.DiGraph([("root", i) for i in entries])
    reference.add_edges_from((c, i) for i, found in enumerate(consumers) for c in found)

    tree = DominatorTree(consumers, entries)

    expected = nx.immediate_dominators(reference, "root")
    assert {i: tree.dominator[i] for i in range(count)} == {
        i: ROOT if expected[i] == "root" else expected[i] for i in range(count)
    }


def test_in_a_chain_every_operation_is_on_the_spine():
    spine = find_spine(data_graph(chain(6), {5: 1, 3: 2}))

    assert spine.chain == [0, 1, 2, 3, 4, 5]


def test_a_residual_branch_is_no_part_of_the_spine_though_it_holds_more_operations():
    # 0 = 1 + branch(2, 3, 4)(1) twice over: joins 0 and 5, branches 1-4 and 6-9, input 10
    reads = [[1, 5], [2], [3], [4], [5], [6, 10], [7], [8], [9], [10], []]
    spine = find_spine(data_graph(reads, {i: i for i in (1, 3, 6, 8, 10)}))

    assert spine.chain == [0, 5, 10]


def test_a_value_fed_to_every_layer_does_not_hide_the_depth():
    # Layer k reads layer k + 1 and the last node, which therefore hangs on the output directly.
    depth = 30
    reads = [[k + 1, depth] for k in range(depth - 1)] + [[depth], []]
    spine = find_spine(data_graph(reads, {k: k for k in range(depth + 1)}))

    assert spine.chain == list(range(depth))


def test_a_recurrent_weight_is_time_and_not_depth():
    # Head 0, then 20 steps; step t reads step t - 1 and its own input through one weight each.
    steps = 20
    reads: list[list[int]] = [[1]]
    reads += [[t + 2, steps + 1 + t] for t in range(steps - 1)] + [[2 * steps]]
    reads += [[] for _ in range(steps)]
    used = {0: 1, **{t + 1: 2 for t in range(steps)}, **{steps + 1 + t: 3 for t in range(steps)}}

    spine = find_spine(data_graph(reads, used))

    assert spine.chain == [0, 1]
    assert {loop.steps for loop in spine.loops} == {steps}
    assert spine.in_time == set(range(1, 2 * steps + 1))


def test_weights_shared_over_depth_are_depth_where_something_lies_below_them():
    spine = find_spine(data_graph(chain(12), {11: 1, **dict.fromkeys(range(11), 2)}))

    assert spine.chain == list(range(12))
    assert spine.loops == ()


def test_weights_applied_side_by_side_are_no_loop():
    reads = [[1, 2, 3, 4, 5], [6], [6], [6], [6], [6], []]
    spine = find_spine(data_graph(reads, {6: 1, **dict.fromkeys(range(1, 6), 2)}))

    assert spine.chain == [0, 6]
    assert spine.loops == ()


def test_without_parameters_the_deepest_node_ends_the_spine():
    assert find_spine(data_graph(chain(4), {})).chain == [0, 1, 2, 3]


def test_an_empty_graph_has_an_empty_spine():
    assert find_spine(data_graph([], {})).chain == []


def test_a_hundred_thousand_nodes_that_all_read_the_last_are_no_trouble():
    count = 100_000
    reads = [[i + 1, count - 1] for i in range(count - 2)] + [[count - 1], []]
    spine = find_spine(data_graph(reads, {count - 2: 1, count - 1: 2}))

    assert len(spine.chain) == count - 1
