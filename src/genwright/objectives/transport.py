"""The linear assignment problem: the pairing of n rows with n columns whose total cost is least."""

import torch
from torch import Tensor

from genwright.core.errors import optional


def square_distances(a: Tensor, b: Tensor) -> Tensor:
    """(n, ...), (m, ...) -> (n, m) float64 squared Euclidean distances."""
    a = a.flatten(1).double()
    b = b.flatten(1).double()
    squares = a.square().sum(1)[:, None] + b.square().sum(1)  # (n, m)
    return torch.addmm(squares, a, b.T, alpha=-2).clamp_(min=0)


def assignment(cost: Tensor) -> Tensor:
    """cost (n, n), finite -> (n,) int64: the column of each row in a pairing of least total cost.
    Exact and deterministic (Crouse, "On implementing 2D rectangular assignment algorithms", 2016);
    points that all lie near one place take some three times as long."""
    if cost.ndim != 2 or cost.shape[0] != cost.shape[1] or not cost.isfinite().all():
        raise ValueError(f"a cost matrix must be square and finite, not {tuple(cost.shape)}")
    optimize = optional("scipy.optimize", "optimal transport needs scipy", "transport")
    _, columns = optimize.linear_sum_assignment(cost.detach().double().cpu().numpy())
    return torch.from_numpy(columns).to(cost.device)
