"""Translates between the contract's protobuf messages and the domain's words; protobuf ends here and in the servicer."""
