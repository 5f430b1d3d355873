"""Flows of a capture: headers by columns, counts by flow, and what is suspicious about them."""
