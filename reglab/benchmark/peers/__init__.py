"""The same training run in several libraries, each module run as a separate process that follows `protocol`."""
