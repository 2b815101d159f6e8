# SPDX-License-Identifier: MIT
# Work for a garbage collector: binary trees built and dropped (reference counts), and doubly linked rings that only
# the cycle collector can free. No imports but gc; the sum printed proves the work was done.
import gc


class Node:
    __slots__ = ("left", "right", "value", "ring", "__weakref__")

    def __init__(self, left, right, value):
        self.left = left
        self.right = right
        self.value = value
        self.ring = None


def tree(depth):
    if depth == 0:
        return Node(None, None, 1)
    return Node(tree(depth - 1), tree(depth - 1), depth)


def total(node):
    if node is None:
        return 0
    return node.value + total(node.left) + total(node.right)


def ring(n):
    nodes = [Node(None, None, i) for i in range(n)]
    for i in range(n):
        nodes[i].right = nodes[(i + 1) % n]
        nodes[i].left = nodes[i - 1]
        nodes[i].ring = {"owner": nodes[i], "name": str(i)}
    return nodes[0]


result = 0
kept = tree(12)
words = {}
for turn in range(8):
    result += total(tree(9))
    for size in (10, 100, 300):
        result += ring(size).value
    for i in range(1500):
        key = "key-%d" % (i * 7919 % 1009)
        words[key] = words.get(key, 0) + i
    result += sum(words.values()) & 0xffff
gc.collect()
print(result, total(kept))
