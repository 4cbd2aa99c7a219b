"""Several processes and machines as one analyzer: workers, gateways, and a director."""
