"""What `make dist` builds, installed and used as its users do."""
