"""The values that a run accepts: the names that a flag chooses from, and the largest numbers."""

from __future__ import annotations

from typing import Final

DATASETS: Final = ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100")
TABLES: Final = (".csv", ".parquet")
DATA_FILES: Final = (".npz", *TABLES)
"""The endings of files of data."""
GROUPS: Final = ("outgoing", "incoming")
OPTIMIZERS: Final = ("adam", "sgd", "momentum", "adamw")
SCHEDULES: Final = ("constant", "cosine", "step", "plateau")
SCHEDULES_OF_ALL_EPOCHS: Final = ("cosine",)
"""Those in which the number of epochs decides on the rate of every step: such a run cannot go on for longer."""
ACTIVATIONS: Final = ("relu", "gelu", "elu", "selu", "silu", "tanh", "sigmoid", "softplus", "linear")
PRECISIONS: Final = ("float32", "float64", "bfloat16")
RESUME_MODES: Final = ("auto", "never", "must", "restart")
STRATEGIES: Final = ("auto", "one_device", "mirrored", "multi_worker")
ON_NONFINITE: Final = ("stop", "skip", "restore")

DEFAULT_WEIGHT_DECAY: Final = 0.004  # Keras' AdamW
DEFAULT_DECAY_FACTOR: Final = 0.1  # PyTorch's StepLR and ReduceLROnPlateau
DEFAULT_DECAY_EVERY: Final = 5
DEFAULT_DECAY_PATIENCE: Final = 3

MOST_LAYERS: Final = 100
"""Hidden layers."""
MOST_COUNT: Final = 2**31 - 1
"""Epochs, examples and widths, which the compiled program counts in 32 bits. No run thus exceeds 2^62 steps."""
MOST_STEPS: Final = 2**53
"""Steps between two events, and steps of the warm-up: float64 represents every whole number up to here."""
MOST_SEED: Final = 2**63 - 1
MOST_DATA_SEED: Final = 2**64 - 1
MOST_DEVICES: Final = 1024
MOST_CPU_DEVICES: Final = 256
MOST_SECONDS: Final = 10**6
MOST_TIME: Final = 10**9
"""Seconds of a run."""
MOST_NAME: Final = 100
"""Characters of a run's name."""
MOST_LIST: Final = 100_000
"""Characters of a flag that takes a list."""
