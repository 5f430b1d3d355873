"""What is suspicious about the flows of a capture: a catalogue, and a file of rules for each kind of evidence."""
