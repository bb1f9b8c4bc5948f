"""What the seeds of a comparison or sweep vary: the initial weights alone, or the order of the data too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reglab.config import MOST_SEED, Config, ConfigError
from reglab.config.checks import one_of

VARY: Final = ("weights", "order")
VARY_HELP: Final = ("What differs from seed to seed: weights (the initial ones), or order (of the data, too); what is "
                    "compared shares both, seed by seed.")


def check_vary(vary: str, config: Config, seeds: int) -> None:
    """Checks what the seeds vary.

    Raises:
      ConfigError: it is none of `VARY`, or the last seed of the orders is out of range.
    """
    one_of(*VARY)("vary", vary)
    if vary == "order" and config.resolved_data_seed + seeds - 1 > MOST_SEED:
        raise ConfigError(f"--data_seed={config.resolved_data_seed}: with --seeds={seeds} and --vary=order the last "
                          f"seed is more than {MOST_SEED:,}: give a smaller one")


def order_seed(vary: str, config: Config, seed: int) -> int:
    """Returns the data seed that orders the data for the lanes of `seed`; for the first seed it is that of the data.

    `config.seed` is the first seed. Split, sample and label noise are the same for all seeds, whatever varies.
    """
    return config.resolved_data_seed + (seed - config.seed if vary == "order" else 0)


def over(vary: str, seeds: int, folds: int | None = None) -> str:
    """Describes for people over what means are taken: `5 seeds on one split`."""
    if folds is not None:
        return f"{folds} folds"
    return counted(seeds, "seed") + (" and orders" if vary == "order" and seeds > 1 else "") + " on one split"


def counted(count: int, noun: str) -> str:
    """Returns a count with its noun: `1 seed`, `2 seeds`."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def listed(names: Sequence[str]) -> str:
    """Returns `a, b and c`, or `a, and b and c` if a name itself contains "and"."""
    comma = "," if any(" and " in name for name in names) else ""
    return f"{comma} and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
