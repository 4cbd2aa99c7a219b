"""The command line: wires objects and does nothing clever."""
