"""What each command asks of the nodes: which readings it needs, and which part of them is meant."""
