import numpy as np
import pytest

from reglab.benchmark.peers.job import make_job
from reglab.data import Dataset, Examples


@pytest.fixture
def small_job():
    def make(lanes=1, steps=4, repeats=2, strength=1e-3):
        random = np.random.default_rng(0)
        x, y = random.integers(0, 17, (60, 12), np.uint8), random.integers(0, 3, 60, np.int32)
        dataset = Dataset("made", Examples(x, y), Examples(x[:5], y[:5]), 3, (12,), 16.0)
        strengths = [strength * (k + 1) for k in range(lanes)]
        return make_job(dataset, hidden=(8, 5), batch_size=10, steps=steps, repeats=repeats, l1=strengths, l2=strengths,
                        learning_rate=[1e-2] * lanes, warmup_steps=3)

    return make
