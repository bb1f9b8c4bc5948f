import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from reglab.benchmark.peers.reference import deviation


def exact_weights(job, lane, epsilon_last=False):
    """The weights after the warm-up, by TensorFlow's gradient and the formulas of Adam in float64."""
    arrays = [tf.Variable(array[lane], dtype=tf.float64) for layer in job.weights for array in layer]
    m, v = [np.zeros(w.shape) for w in arrays], [np.zeros(w.shape) for w in arrays]
    for t, ids in enumerate(job.order[:job.warmup_steps], start=1):
        with tf.GradientTape() as tape:
            x = tf.constant(job.x[ids] / job.divisor)
            for k in (0, 2):
                x = tf.nn.relu(x @ arrays[k] + arrays[k + 1])
            logits = x @ arrays[4] + arrays[5]
            total = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(job.y[ids], logits))
            for w in arrays[::2]:
                total += float(job.l1[lane]) * tf.reduce_sum(tf.abs(w)) + float(job.l2[lane]) * tf.reduce_sum(w * w)
        for k, g in enumerate(tape.gradient(total, arrays)):
            m[k], v[k] = 0.9 * m[k] + 0.1 * g.numpy(), 0.999 * v[k] + 0.001 * g.numpy() ** 2
            first, second = m[k] / (1 - 0.9**t), v[k] / (1 - 0.999**t)
            epsilon = 1e-7 if epsilon_last else 1e-7 / np.sqrt(1 - 0.999**t)
            arrays[k].assign_sub(float(job.learning_rate[lane]) * first / (np.sqrt(second) + epsilon))
    return [array.numpy() for array in arrays]


def stack(lanes):
    arrays = [np.stack(arrays) for arrays in zip(*lanes, strict=True)]
    return list(zip(arrays[::2], arrays[1::2], strict=True))


@pytest.mark.parametrize("epsilon_last", [False, True])
def test_exact_steps_do_not_deviate(small_job, epsilon_last):
    # Small strengths: where a gradient is the penalty's alone, epsilon matters.
    job = small_job(lanes=2, strength=1e-5)
    weights = stack([exact_weights(job, lane, epsilon_last) for lane in range(2)])
    assert max(deviation(job, weights, epsilon_last=epsilon_last)) < 1e-10
    assert min(deviation(job, weights, epsilon_last=not epsilon_last)) > 1e-6


@pytest.mark.parametrize("change", ["l1", "l2", "learning_rate", "order"])
def test_each_part_of_the_job_shows(small_job, change):
    job = small_job(strength=1e-2)
    value = getattr(job, change)
    other = dataclasses.replace(job, **{change: value[::-1] if change == "order" else value / 2})
    assert deviation(job, stack([exact_weights(other, 0)]), epsilon_last=False)[0] > 5e-3
