"""Events to subscribers: the versioned wire format and the fan-out."""
