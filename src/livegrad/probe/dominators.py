"""Immediate dominators of an acyclic graph in topological order, with ancestors found in logarithmic time.

On an acyclic graph one sweep suffices (Cooper, Harvey & Kennedy 2001): a node's dominator is the nearest
common ancestor, in the dominator tree built so far, of the nodes that read it. Jump pointers (Myers 1983)
keep that search short where one value is read at every depth (an input fed to each step of a long loop).
"""

from collections.abc import Sequence, Set

ROOT = -1


class DominatorTree:
    """The dominator tree of a graph whose nodes are numbered so that consumers come before what they read.

    dominator[i]: immediate dominator of node i (ROOT for nodes right below the virtual root). level[i]:
    number of dominators above it.
    """

    def __init__(self, consumers: Sequence[Sequence[int]], entries: Set[int]) -> None:
        count = len(consumers)
        self.dominator = [ROOT] * count
        self.level = [0] * count
        self._jump = [ROOT] * count
        for i in range(count):
            best: int | None = ROOT if i in entries else None
            for consumer in consumers[i]:
                best = consumer if best is None else self.common(best, consumer)
            self._hang(i, ROOT if best is None else best)

    def _hang(self, i: int, parent: int) -> None:
        self.dominator[i] = parent
        if parent == ROOT:
            return
        self.level[i] = self.level[parent] + 1
        far = self._jump[parent]
        middle = self.level[far] if far != ROOT else -1
        end = -1 if far == ROOT or self._jump[far] == ROOT else self.level[self._jump[far]]
        self._jump[i] = (
            self._jump[far] if far != ROOT and self.level[parent] - middle == middle - end else parent
        )

    def common(self, a: int, b: int) -> int:
        """Return the nearest common dominator of nodes a and b (a node counts as its own), ROOT if they have
        none.
        """
        if a == ROOT or b == ROOT:
            return ROOT
        if self.level[a] < self.level[b]:
            a, b = b, a
        a = self._lifted(a, self.level[b])
        while a != b:
            if a == ROOT or b == ROOT:
                return ROOT
            if self._jump[a] != self._jump[b]:
                a, b = self._jump[a], self._jump[b]
            else:
                a, b = self.dominator[a], self.dominator[b]
        return a

    def _lifted(self, a: int, level: int) -> int:
        while self.level[a] > level:
            jump = self._jump[a]
            a = jump if jump != ROOT and self.level[jump] >= level else self.dominator[a]
        return a
