"""Snapshots, joined and indexed: the topology, its endpoints, its graph."""
