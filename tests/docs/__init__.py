"""What the documentation says, held against what the code does."""
