"""Published results, trained anew by one command each: beside what was published, with intervals and a verdict."""
