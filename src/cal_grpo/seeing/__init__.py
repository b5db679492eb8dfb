"""What became of a run? Run folders read back, drawn and compared."""
