"""Where batches come from: what of them lies on the device, what the host feeds, and how a batch is made of both."""
