"""Results into text. Pure functions: no stream, no environment, no clock."""
