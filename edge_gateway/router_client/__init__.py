"""The edge's end of the contract: asks the router for decisions and tells it of outcomes."""
