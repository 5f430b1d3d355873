"""A prediction beside what was seen: pure functions from a trace and sightings to a trace that says both."""
