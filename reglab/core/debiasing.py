"""Debiasing: training goes on with the zeros held and without the penalties that made them.

A penalty that makes zeros shrinks what it leaves. So the last updates minimize, over the entries that are not 0,

    data loss + the smooth terms

which is the relaxed lasso with φ = 0 (Meinshausen 2007, Relaxed lasso, section 2). Which entries are held needs no
record: they are exactly 0 where a term with a kink covers them, and each update leaves them so (`Step._debiased`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from reglab.core.terms import Term


def strengths_then(strengths: Mapping[str, tf.Tensor], terms: Sequence[Term], is_debiasing: tf.Tensor
                   ) -> dict[str, tf.Tensor]:
    """Returns the strengths of an update: 0 for terms with a kink while debiasing.

    Args:
      is_debiasing: a truth value, scalar.
    """
    kinked = _kinked(terms)
    return {name: tf.where(is_debiasing, tf.zeros_like(strength), strength) if name in kinked else strength
            for name, strength in strengths.items()}


def strengths_of_reports(strengths: Mapping[str, npt.NDArray[np.floating]], terms: Sequence[Term],
                         is_debiasing: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[np.floating]]:
    """Returns the same for reports: [..., *shape of a strength], for [...] truth values."""
    kinked, found = _kinked(terms), {}
    for name, strength in strengths.items():
        off = is_debiasing.reshape(is_debiasing.shape + (1,) * strength.ndim)
        found[name] = np.where(off, np.zeros_like(strength), strength) if name in kinked else strength
    return found


def _kinked(terms: Sequence[Term]) -> set[str]:
    return {term.name for term in terms if not term.penalty.is_smooth}
