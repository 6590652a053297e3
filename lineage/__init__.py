"""Where it came from: experiments, runs, datasets, code, environment, and the graph that joins them."""
