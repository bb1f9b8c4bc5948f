"""What runs the core: compiled programs, replicas, lanes, the devices they get, and the start of TensorFlow."""
