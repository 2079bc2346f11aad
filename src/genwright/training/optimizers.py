"""The two update rules, as functions on stacked tensors.

Muon (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024) replaces a
matrix's momentum by the nearest (semi-)orthogonal matrix, found by Newton-Schulz iteration; the
per-iteration coefficients are the Polar Express ones (Amsel et al., arXiv 2505.16932, table for
degree 5, which converges in fewer iterations than one fixed polynomial). Equal shapes are stacked
and orthogonalised in one batch of matrix products. AdamW is Loshchilov and Hutter's, in torch's
fused kernel.
"""

import math

import torch
from torch import Tensor
from torch.optim.adamw import adamw

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
    for i in range(iterations):
        a, b, c = POLAR[min(i, len(POLAR) - 1)]
        gram = x @ x.mT  # (n, rows, rows)
        inner = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)  # b gram + c gram^2
        x = torch.baddbmm(x, inner, x, beta=a)  # a x + (b gram + c gram^2) x
    return x.mT if tall else x


def muon_(
    parameters: Tensor,
    gradient: Tensor,
    momentum: Tensor,
    *,
    rate: float,
    beta: float,
    decay: float,
    iterations: int,
    dtype: torch.dtype,
    finite: Tensor | None = None,
) -> None:
    """One Muon step in place on stacks (n, rows, columns). The update of each matrix has spectral
    norm rate * sqrt(max(1, rows / columns)), so that one rate fits all shapes; decay is decoupled.
    finite: () bool; where it is not true, nothing changes. None: it is certain."""
    if finite is not None:
        gradient = gradient.where(finite, momentum)  # momentum moved towards itself stays
    momentum.lerp_(gradient, 1 - beta)
    ahead = gradient.lerp(momentum, beta)  # Nesterov's
    update = orthogonalise(ahead.to(dtype), iterations).to(parameters.dtype)
    shrunk: float | Tensor = rate * decay
    if finite is not None:
        update = update * finite
        shrunk = shrunk * finite.double()
    if decay:
        parameters.mul_(1 - shrunk)
    rows, columns = parameters.shape[-2:]
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
    found_inf = None if finite is None else finite.logical_not().float()
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
