"""What the kernel shows of a stack of layers: fs/overlayfs as pure functions over directories."""
