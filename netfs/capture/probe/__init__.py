"""The probe: crafted, and recognised in what taps caught. The one room that imports scapy."""
