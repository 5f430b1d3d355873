"""Files that strangers wrote, opened below a descriptor and never outside it. Standard library only."""
