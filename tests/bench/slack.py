"""How far beyond its bar a time may be on a machine that has other work. The figures themselves are printed."""

SLACK = 1.5
