"""Keras: `python keras_fit.py data.npz JOB`, with JOB as JSON. Trains, evaluates every epoch, saves the weights."""

import json
import sys

import keras
import numpy as np

arrays, job = np.load(sys.argv[1]), json.loads(sys.argv[2])
x_train, x_validation = (arrays[name].astype(np.float32) / np.float32(job["divisor"])
                         for name in ("x_train", "x_validation"))

keras.utils.set_random_seed(job["seed"])
penalty = keras.regularizers.L1L2(l1=job["l1"], l2=job["l2"])
layers = [keras.layers.Dense(width, activation="relu", kernel_regularizer=penalty) for width in job["hidden"]]
model = keras.Sequential([keras.Input(x_train.shape[1:]), *layers,
                          keras.layers.Dense(job["classes"], kernel_regularizer=penalty)])
model.compile(keras.optimizers.Adam(job["learning_rate"]),
              keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
history = model.fit(x_train, arrays["y_train"], batch_size=job["batch_size"], epochs=job["epochs"], verbose=2,
                    validation_data=(x_validation, arrays["y_validation"]))
model.save(job["output"] + ".keras")
print(json.dumps({"accuracy": history.history["val_accuracy"][-1]}))
