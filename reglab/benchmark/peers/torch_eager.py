"""PyTorch: eager mode with fused Adam. One lane."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from reglab.benchmark.peers.job import Job, Weights
from reglab.benchmark.peers.protocol import fastest, one_lane, serve

TUNING_STEPS = 30


class Trainer:
    """PyTorch, executing one operation after another."""

    packages: tuple[str, ...] = ("torch",)
    method = "eager, Adam(fused=True)"
    epsilon_last = True

    def __init__(self, job: Job) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        # The other libraries use TF32 for products where the GPU has it.
        torch.backends.cuda.matmul.allow_tf32 = True
        self.x = torch.from_numpy(job.x.astype(np.float32) / np.float32(job.divisor)).to(self.device)
        self.y = torch.from_numpy(job.y.astype(np.int64)).to(self.device)
        self.l1, self.l2 = float(job.l1[0]), float(job.l2[0])
        self.model = _model(one_lane(job)).to(self.device)
        self.kernels = [layer.weight for layer in self.model if isinstance(layer, torch.nn.Linear)]
        before = time.perf_counter()
        threads = self._fastest_threads(job.order[:TUNING_STEPS])
        torch.set_num_threads(threads)
        self.tuning_seconds = time.perf_counter() - before
        self.settings = f"{self.method}, float32 data on the device, {threads} CPU threads"
        self.optimizer = torch.optim.Adam(self.model.parameters(), float(job.learning_rate[0]), eps=1e-7, fused=True)

    def prepare(self, order: npt.NDArray[np.int32]) -> Callable[[], None]:
        """Prepares the host's part of the coming steps, and returns the function that takes them."""
        batches = torch.from_numpy(order.astype(np.int64)).to(self.device)

        def take_steps() -> None:
            losses = [self.step(self.x[ids], self.y[ids]) for ids in batches]
            torch.stack(losses).cpu()

        return take_steps

    def weights(self) -> Weights:
        """Returns the current weights, [lanes, inputs, units] and [lanes, units] for each layer."""
        arrays = [parameter.detach().cpu().numpy() for parameter in self.model.parameters()]
        return [(weight.T[None], bias[None]) for weight, bias in zip(arrays[::2], arrays[1::2], strict=True)]

    def step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Makes one update; returns the total loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.total(x, y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _fastest_threads(self, order: npt.NDArray[np.int32]) -> int:
        """Chooses between one thread and all (on a GPU, one), timing gradients, which do not change the weights."""
        def candidate(threads: int) -> Callable[[], None]:
            def gradients() -> None:
                torch.set_num_threads(threads)
                for ids in torch.from_numpy(order.astype(np.int64)).to(self.device):
                    self.model.zero_grad(set_to_none=True)
                    self.total(self.x[ids], self.y[ids]).backward()

            return gradients

        if self.device != "cpu":
            return 1
        return int(fastest({str(threads): candidate(threads) for threads in (1, torch.get_num_threads())}))

    def total(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Computes the data loss plus the penalties."""
        data = torch.nn.functional.cross_entropy(self.model(x), y)
        penalties = [self.l1 * kernel.abs().sum() + self.l2 * kernel.square().sum() for kernel in self.kernels]
        return data + torch.stack(penalties).sum()


def _model(weights: list[tuple[np.ndarray, np.ndarray]]) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for kernel, bias in weights:
        linear = torch.nn.Linear(*kernel.shape)
        linear.weight.data, linear.bias.data = torch.from_numpy(kernel.T.copy()), torch.from_numpy(bias.copy())
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


if __name__ == "__main__":
    serve(Trainer)
