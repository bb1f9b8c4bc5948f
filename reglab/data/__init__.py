"""The data: digits, the MNIST family, CIFAR and your own arrays, with seeded splits, subsets, label noise and order.

Nothing here imports TensorFlow, except the download of a public data set when no `data_dir` is given.
"""

from reglab.data.examples import Dataset, Examples, Undivided, steps_per_epoch
from reglab.data.facts import DataFacts
from reglab.data.loading import (
    check_batch_size,
    from_arrays,
    is_here,
    load,
    load_configured,
    load_undivided,
    prepared,
)
from reglab.data.randomness import epoch_order
from reglab.data.stream import Stream

__all__ = ["DataFacts", "Dataset", "Examples", "Stream", "Undivided", "check_batch_size", "epoch_order", "from_arrays",
           "is_here", "load", "load_configured", "load_undivided", "prepared",
           "steps_per_epoch"]
