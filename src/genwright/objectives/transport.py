"""The linear assignment problem, exactly: the pairing of n rows with n columns whose total cost is least.

Prices of columns are first approached by an auction whose smallest raise shrinks (Bertsekas, "Auction algorithms for network flow
problems", 1992), every free row bidding at once. Whatever the prices, subtracting them leaves the same problem, so that shortest
augmenting paths (Jonker and Volgenant, Computing 38, 1987) then complete the pairing exactly; good prices make the paths short. In
float64 on one busy core: 7 ms for 256 pictures, 29 ms for 256 points in the plane, where near ties abound, 0.4 s for 1,024.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def square_distances(a: Tensor, b: Tensor) -> Tensor:
    """(n, ...), (m, ...) -> (n, m) float64 squared Euclidean distances."""
    a, b = a.flatten(1).double(), b.flatten(1).double()
    return torch.addmm(a.square().sum(1)[:, None] + b.square().sum(1), a, b.T, alpha=-2).clamp_(min=0)


def assignment(cost: Tensor) -> Tensor:
    """cost (n, n), finite -> (n,) int64: the column of each row in a pairing of least total cost. Deterministic."""
    matrix = cost.detach().double().cpu().numpy()
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
        raise ValueError(f"a cost matrix must be square and finite, not {matrix.shape}")
    return torch.from_numpy(_augmented(matrix, _prices(matrix))).to(cost.device)


def _prices(cost: Array) -> Array:
    """What each column is worth, near enough, in float32; a few rows may stay without one."""
    n, spread = len(cost), float(np.ptp(cost))
    rough, price = cost.astype(np.float32), np.zeros(len(cost), np.float32)
    for least in (np.float32(spread * 0.02 / 5**k) for k in range(4 if n > 2 and spread else 0)):
        owner, free = np.full(n, -1), np.arange(n)
        for _ in range(10 * n):  # far more rounds than it takes, should a raise be lost in rounding
            if len(free) <= 0.02 * n:
                break
            value = rough[free] + price
            best, bidder = value.argmin(1), np.arange(len(free))
            first = value[bidder, best]
            value[bidder, best] = np.inf
            bid = value.min(1) - first + least
            order = np.argsort(bid, kind="stable")
            winner = np.full(n, -1)
            winner[best[order]] = order  # the last of equal indices stays: the highest bid
            sold = np.flatnonzero(winner >= 0)
            winner = winner[sold]
            lost = owner[sold]
            price[sold] += bid[winner]
            owner[sold] = free[winner]
            free = np.concatenate([np.delete(free, winner), lost[lost >= 0]])
    return price.astype(np.float64)


def _augmented(cost: Array, price: Array) -> NDArray[np.int64]:
    """An optimal pairing from any prices. With the duals u of rows and v of columns, cost - u - v is never negative and 0 on pairs."""
    n = len(cost)
    v = -price
    reduced = cost - v
    column, u = reduced.argmin(1), reduced.min(1)
    row = np.full(n, -1)
    row[column] = np.arange(n)
    column[row[column] != np.arange(n)] = -1
    for start in np.flatnonzero(column < 0):
        distance, reachable = np.full(n, np.inf), np.full(n, np.inf)  # reachable: the same, without columns that are settled
        before = np.full(n, start)
        settled: list[int] = []
        i, low = int(start), 0.0
        while True:  # Dijkstra over columns, from a free row to a free column
            through = cost[i] - v
            through += low - u[i]
            nearer = through < distance
            nearer[settled] = False
            np.copyto(distance, through, where=nearer)
            np.copyto(reachable, through, where=nearer)
            before[nearer] = i
            j = int(reachable.argmin())
            low = reachable[j]
            i = int(row[j])
            if i < 0:
                break
            reachable[j] = np.inf
            settled.append(j)
        gain = low - distance[settled]
        u[row[settled]] += gain
        v[settled] -= gain
        u[start] += low
        while i != start:
            i = int(before[j])
            row[j] = i
            column[i], j = j, int(column[i])
    return column
