"""What runs the core: compiled programs and their trainings, sources of batches, replicas, lanes, what runs where."""
