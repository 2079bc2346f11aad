"""The two update rules, as functions on stacked tensors.

Muon (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024) replaces a
matrix's momentum by the nearest (semi-)orthogonal matrix, found by Newton-Schulz iteration; the
per-iteration coefficients are the Polar Express ones (Amsel et al., arXiv 2505.16932, table for
degree 5, which converges in fewer iterations than one fixed polynomial). Equal shapes are stacked
and orthogonalised in one batch of matrix products. A step has three parts, since the middle one is
shared out over the processes (`shared_muon.py`): `move_momentum_` and `ahead_of`, `orthogonalise`,
`add_orthogonal_`. AdamW is Loshchilov and Hutter's, in torch's fused kernel.
"""

import math

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from genwright.core.onednn import is_large, onednn_is_faster, onednn_product
from genwright.training.settings import Optimizer

# The coefficients are for singular values in [1e-3, 1]; after the listed ones the last repeats.
POLAR = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def orthogonalise(x: Tensor, iterations: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices: U V^T of each matrix in the stack (n, rows, columns),
    singular values near 1 (0.9 to 1.1 for a condition number below 1000 and five iterations).
    Computes in the dtype of `x`. Zero matrices stay zero."""
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.01 + 1e-20)
    if _by_onednn(x):
        x = torch.stack([_iterated_by_onednn(matrix, iterations) for matrix in x])
    else:
        x = _iterated(x, iterations)
    return x.mT if tall else x


def _by_onednn(x: Tensor) -> bool:
    """Whether products of the matrices in a stack (n, rows, columns) are faster one at a time."""
    rows, columns = x.shape[-2:]
    if not (x.is_cpu and x.dtype == torch.float32 and is_large(rows, columns, rows)):
        return False
    return onednn_is_faster()


def _coefficients(iteration: int) -> tuple[float, float, float]:
    return POLAR[min(iteration, len(POLAR) - 1)]


def _iterated(x: Tensor, iterations: int) -> Tensor:
    """x (n, rows, columns), no taller than wide, after so many iterations."""
    for i in range(iterations):
        a, b, c = _coefficients(i)
        gram = x @ x.mT  # (n, rows, rows)
        inner = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)  # b gram + c gram^2
        x = torch.baddbmm(x, inner, x, beta=a)  # a x + (b gram + c gram^2) x
    return x


def _iterated_by_onednn(x: Tensor, iterations: int) -> Tensor:
    """x (rows, columns), no taller than wide, after so many iterations. What is added to a product
    above stands on diagonals here: oneDNN's products add nothing."""
    for i in range(iterations):
        a, b, c = _coefficients(i)
        gram = onednn_product(x, x)  # (rows, rows)
        inner = c * gram
        inner.diagonal().add_(b)
        inner = onednn_product(gram, inner)  # gram (b + c gram); inner is its own transpose
        inner.diagonal().add_(a)
        x = onednn_product(inner, x.mT)  # (a + b gram + c gram^2) x
    return x


def move_momentum_(
    gradient: Tensor, momentum: Tensor, beta: float, finite: Tensor | None = None
) -> None:
    """Moves Muon's momentum towards the gradient, in place. finite: () bool; where it is not true,
    nothing changes. None: it is certain."""
    if finite is not None:
        gradient = gradient.where(finite, momentum)  # momentum moved towards itself stays
    momentum.lerp_(gradient, 1 - beta)


def ahead_of(
    gradient: Tensor, momentum: Tensor, beta: float, finite: Tensor | None = None
) -> Tensor:
    """What Muon orthogonalises: the momentum, which was moved, and a part of the gradient
    (Nesterov's). Arguments as of `move_momentum_`."""
    if finite is not None:
        gradient = gradient.where(finite, momentum)
    return gradient.lerp(momentum, beta)


def add_orthogonal_(
    parameters: Tensor,
    update: Tensor,
    *,
    shape: tuple[int, ...],
    rate: float,
    decay: float,
    finite: Tensor | None = None,
) -> None:
    """The last part of a Muon step, in place on parameters that look like `update`: orthogonalised
    matrices of (rows, columns) = shape, a stack of them, or rows of one. The update of each matrix
    has spectral norm rate * sqrt(max(1, rows / columns)), so that one rate fits all shapes; decay
    is decoupled. finite: as of `move_momentum_`."""
    update = update.to(parameters.dtype)
    shrunk: float | Tensor = rate * decay
    if finite is not None:
        update = update * finite
        shrunk = shrunk * finite.double()
    if decay:
        parameters.mul_(1 - shrunk)
    rows, columns = shape
    parameters.add_(update, alpha=-rate * math.sqrt(max(1.0, rows / columns)))


def adamw_(
    parameters: list[Tensor],
    gradients: list[Tensor],
    first: list[Tensor],
    second: list[Tensor],
    steps: list[Tensor],
    *,
    rate: float,
    settings: Optimizer,
    decay: float,
    finite: Tensor | None = None,
) -> None:
    """One AdamW step in place, fused over the lists. `steps` are float32 scalars, one a tensor, and
    count up. finite: () bool; where it is not true, nothing changes. None: it is certain."""
    if finite is None:
        # What torch's `adamw` comes down to, without its preparations, which take as long as the
        # update of a small network.
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            parameters,
            gradients,
            first,
            second,
            [],
            steps,
            lr=rate,
            beta1=settings.betas[0],
            beta2=settings.betas[1],
            weight_decay=decay,
            eps=settings.eps,
            amsgrad=False,
            maximize=False,
        )
        return
    found_inf = finite.logical_not().float()
    adamw(
        parameters,
        gradients,
        first,
        second,
        [],
        steps,
        lr=rate,
        weight_decay=decay,
        beta1=settings.betas[0],
        beta2=settings.betas[1],
        eps=settings.eps,
        fused=True,
        found_inf=found_inf,
        amsgrad=False,
        maximize=False,
    )
