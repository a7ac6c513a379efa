"""One pass over the graph a file."""
