"""PyTorch: `python torch_loop.py data.npz JOB`, with JOB as JSON. Trains, evaluates every epoch, saves the weights."""

import json
import sys

import numpy as np
import torch

arrays, job = np.load(sys.argv[1]), json.loads(sys.argv[2])
x_train, x_validation = (torch.from_numpy(arrays[name].astype(np.float32) / np.float32(job["divisor"]))
                         for name in ("x_train", "x_validation"))
y_train, y_validation = (torch.from_numpy(arrays[name].astype(np.int64)) for name in ("y_train", "y_validation"))

torch.manual_seed(job["seed"])
torch.set_num_threads(1)  # Faster than two for networks of this size.
widths = [x_train.shape[1], *job["hidden"], job["classes"]]
layers = [part for inputs, units in zip(widths, widths[1:]) for part in (torch.nn.Linear(inputs, units),  # noqa: B905
                                                                         torch.nn.ReLU())]
model = torch.nn.Sequential(*layers[:-1])
kernels = [layer.weight for layer in model if isinstance(layer, torch.nn.Linear)]
optimizer = torch.optim.Adam(model.parameters(), job["learning_rate"], eps=1e-7, fused=True)
cross_entropy = torch.nn.functional.cross_entropy

accuracy = 0.0
for epoch in range(job["epochs"]):
    for ids in torch.randperm(len(x_train)).split(job["batch_size"]):
        optimizer.zero_grad(set_to_none=True)
        penalty = sum(job["l1"] * kernel.abs().sum() + job["l2"] * kernel.square().sum() for kernel in kernels)
        (cross_entropy(model(x_train[ids]), y_train[ids]) + penalty).backward()
        optimizer.step()
    with torch.inference_mode():
        losses = [float(cross_entropy(model(x), y)) for x, y in ((x_train, y_train), (x_validation, y_validation))]
        accuracy = float((model(x_validation).argmax(1) == y_validation).float().mean())
    print(epoch + 1, *losses, accuracy)
torch.save(model.state_dict(), job["output"] + ".pt")
print(json.dumps({"accuracy": accuracy}))
