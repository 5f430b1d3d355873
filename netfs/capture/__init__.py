"""Watching packets: taps on live nodes, a probe that is recognised everywhere, capture files read and written."""
