"""Which packets a tap lets through: expressions, and the classic BPF that they become."""
