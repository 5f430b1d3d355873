"""Chains of layers, and what they hold, as people read them: one file for each question."""
