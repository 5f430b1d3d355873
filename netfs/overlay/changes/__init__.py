"""What each layer of a chain adds to those below it, changes in them, hides of them."""
