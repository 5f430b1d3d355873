"""How each engine lays out its layers on disk, and what it says of them."""
