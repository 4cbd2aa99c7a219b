"""The only torch in `stream`: slots, their tensors, and the one call that runs a plan."""
