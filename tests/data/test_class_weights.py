import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from reglab.config import Config, ConfigError
from reglab.data import from_arrays, prepared
from reglab.data.class_weights import weights_of_classes

Y = np.array([0] * 70 + [1] * 20 + [3] * 10, np.int32)


def test_balanced_weights_are_those_of_scikit_learn():
    made = weights_of_classes("balanced", Y, 4, None)
    theirs = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=Y)
    np.testing.assert_allclose(made, [theirs[0], theirs[1], 1.0, theirs[2]], rtol=1e-15)
    np.testing.assert_allclose(made[Y].sum(), len(Y), rtol=1e-14)


def test_named_weights_go_to_their_classes_and_others_weigh_1():
    assert weights_of_classes("b=2.0,<=5=0.5", Y, 4, ("<=5", "a", "b", "c")).tolist() == [0.5, 1, 2, 1]
    assert weights_of_classes("1=3.0", Y, 4, None).tolist() == [1, 3, 1, 1]
    assert weights_of_classes("5=3.0", Y[:2], 2, (4, 5)).tolist() == [1, 3]
    with pytest.raises(ConfigError, match="^--class_weights=B=2.0: there is no class B: the classes are a, bb; did"):
        weights_of_classes("B=2.0", Y[:2], 2, ("a", "bb"))


def test_they_are_of_the_training_split_after_its_noise_and_are_told():
    data = prepared(Config(class_weights="balanced"), from_arrays(np.zeros([100, 2]), Y, label_noise=0.3,
                                                                          train_size=50))
    counts = np.bincount(data.train.y, minlength=data.classes)
    np.testing.assert_allclose(data.weights_of_classes, 50 / (3 * counts))
    assert data.facts["class_weights"] == data.weights_of_classes.tolist()
    with pytest.raises(ConfigError, match="there is no class 2: the classes are 0, 1, 3"):
        prepared(Config(class_weights={2: 1}), data)
