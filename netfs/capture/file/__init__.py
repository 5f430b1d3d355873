"""Capture files: pcap and pcapng, read in chunks, written packet by packet."""
