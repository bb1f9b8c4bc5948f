"""Sources of batches: what stays on the device, what the host feeds, and how a batch is made from both."""
