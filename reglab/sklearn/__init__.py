"""reglab's networks as a scikit-learn estimator, for pipelines, grid searches and cross-validation.

    from reglab.sklearn import PenalizedClassifier
    PenalizedClassifier(l1=1e-3, hidden=(32,)).fit(X, y).score(X_test, y_test)

TensorFlow is imported by the first `fit` or `predict`.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError("reglab.sklearn needs scikit-learn: pip install 'reglab[sklearn]'", name="sklearn") from error

from reglab.sklearn.classifier import PenalizedClassifier

__all__ = ["PenalizedClassifier"]
