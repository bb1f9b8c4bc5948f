"""Sentences about training data that are not as a network would have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reglab.data.labels import ClassName
from reglab.inputs.texts import shown

_LARGE: Final = 10.0
_SMALL: Final = 0.01
_MOST_EXAMPLES: Final = 10_000
_MOST_SHOWN: Final = 3


def unscaled(x: npt.NDArray[Any]) -> str | None:
    """Says that the scale of the features is far from 1, or returns None: [n, features] float32.

    The scale of a feature is the root of the mean square of its values, here over at most 10,000 examples. That of the
    largest feature should lie between 0.01 and 10.
    """
    few = x[::-(-len(x) // _MOST_EXAMPLES)]
    scales = np.sqrt(np.square(few, dtype=np.float64).mean(0))
    low, high = (float(scales[scales > 0].min(initial=np.inf)), float(scales.max()))
    if high == 0 or _SMALL <= high <= _LARGE:
        return None
    extent = " to ".join(dict.fromkeys(f"{scale:,.0f}" if 100 <= scale < 1e6 else f"{scale:.2g}"
                                       for scale in (low, high)))
    return (f"The features are of size {extent} (root mean square), far from 1, so training may be slow or fail: "
            "--standardize scales them.")


def unused(y: npt.NDArray[np.int32], classes: int, names: Sequence[ClassName] | None) -> str | None:
    """Says which of the classes no label of `y` has, or returns None."""
    missing = np.flatnonzero(np.bincount(y, minlength=classes) == 0)
    if not len(missing):
        return None
    listed = [shown(str(k if names is None else names[k]), 40) for k in missing[:_MOST_SHOWN].tolist()]
    more = f" and {len(missing) - len(listed):,} more" if len(missing) > len(listed) else ""
    which = f"class {listed[0]}" if len(missing) == 1 else f"any of the classes {', '.join(listed)}{more}"
    return f"No training example has {which}."
