"""What must hold while something breaks."""
