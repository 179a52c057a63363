"""What nobody would write, fed to the parsers that read strangers' bytes: `make fuzz`."""
