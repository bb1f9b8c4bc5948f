"""PyTorch: the whole step, gradient and Adam, in one `torch.compile`d graph, fused by Inductor. One lane."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from reglab.benchmark.peers import torch_eager
from reglab.benchmark.peers.job import Job
from reglab.benchmark.peers.protocol import serve

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7


class Trainer(torch_eager.Trainer):
    """PyTorch, with the gradient and the update of a step compiled together.

    Compiling only the loss, beside `Adam(fused=True)`, took 900 µs per step instead of 520 (batch 32, two cores).
    """

    method = "gradient and Adam in one torch.compile'd graph (default mode)"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._parameters = dict(self.model.named_parameters())
        self._slots = {name: (torch.zeros_like(w), torch.zeros_like(w)) for name, w in self._parameters.items()}
        self._count = torch.zeros((), device=self.device)
        self._learning_rate = float(job.learning_rate[0])
        self._compiled = torch.compile(self._update)

    def prepare(self, order: npt.NDArray[np.int32]) -> Callable[[], None]:
        """Prepares the host's part of the coming steps, and returns the function that takes them."""
        batches = torch.from_numpy(order.astype(np.int64)).to(self.device)

        def take_steps() -> None:
            with torch.no_grad():
                torch.stack([self._compiled(ids) for ids in batches]).cpu()

        return take_steps

    def _update(self, ids: torch.Tensor) -> torch.Tensor:
        """Makes one update in place; returns the total loss before it."""
        detached = {name: w.detach() for name, w in self._parameters.items()}
        gradients, loss = torch.func.grad_and_value(self._total)(detached, self.x[ids], self.y[ids])
        self._count.add_(1)
        correction1, correction2 = 1 - BETA1**self._count, (1 - BETA2**self._count).sqrt()
        for name, g in gradients.items():
            m, v = self._slots[name]
            m.lerp_(g, 1 - BETA1)
            v.lerp_(g * g, 1 - BETA2)
            detached[name].sub_(self._learning_rate / correction1 * m / (v.sqrt() / correction2 + EPSILON))
        return loss

    def _total(self, parameters: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        data = torch.nn.functional.cross_entropy(torch.func.functional_call(self.model, parameters, (x,)), y)
        kernels = [w for name, w in parameters.items() if name.endswith("weight")]
        return data + sum(self.l1 * w.abs().sum() + self.l2 * w.square().sum() for w in kernels)


if __name__ == "__main__":
    serve(Trainer)
