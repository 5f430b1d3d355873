"""Random small networks, built in the kernel, probed, and compared with what the simulator says."""
