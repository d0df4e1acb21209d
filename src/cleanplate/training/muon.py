"""The optimiser Muon: the matrix of each momentum is orthogonalised before a step.

K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. A convolution's kernel is
treated as a matrix of output channels by all other axes. All singular values of the update become about one,
so directions with small gradients learn as fast as the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
BETAS = (0.9, 0.999)
EPSILON = 1e-8
ITERATIONS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrix: Tensor) -> Tensor:
    """Compute the nearest matrix with singular values of about one, by a quintic Newton-Schulz iteration.

    Args:
        matrix: ``(rows, columns)``, of any scale.

    Returns:
        Like ``matrix``, with the same singular vectors; singular values lie between 0.6 and 1.2, except for
        those that are tiny compared with the largest.
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for groups with ``orthogonal=True``, AdamW for the others.

    Args:
        groups: Groups of parameters, each with ``params`` and ``orthogonal``; the parameters of an orthogonal
            group have at least two dimensions.
        weight_decay: Share by which a weight decays in a step, for a learning rate of one.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], weight_decay: float = 0.0) -> None:
        super().__init__(groups, {"lr": 0.0, "weight_decay": weight_decay, "orthogonal": False})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; parameters without a gradient stay. Returns the loss of the closure, if given."""
        loss = None if closure is None else closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is None:
                        continue
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    if group["orthogonal"]:
                        self._step_matrix(parameter, group["lr"])
                    else:
                        self._step_adam(parameter, group["lr"])
        return loss

    def _step_matrix(self, parameter: nn.Parameter, rate: float) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        momentum = state["momentum"]
        momentum.mul_(MOMENTUM).add_(gradient)
        update = orthogonalise(gradient.add(momentum, alpha=MOMENTUM).flatten(1))
        rows, columns = update.shape
        # Tall matrices get a longer step, so that each output changes as much as in a wide one.
        parameter.add_(update.view(parameter.shape), alpha=-rate * max(1.0, rows / columns) ** 0.5)

    def _step_adam(self, parameter: nn.Parameter, rate: float) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["step"] = torch.zeros(())
            state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
        state["step"] += 1
        step, mean, square = float(state["step"]), state["mean"], state["square"]
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        deviation = (square / (1 - BETAS[1] ** step)).sqrt_().add_(EPSILON)
        parameter.addcdiv_(mean, deviation, value=-rate / (1 - BETAS[0] ** step))
