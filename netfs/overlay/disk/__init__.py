"""The files of layers and of their engines, opened so that nothing in them leads outside."""
