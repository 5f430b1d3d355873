"""The process that listens on one node, and sends from it. Standard library only: it travels with the collector."""
