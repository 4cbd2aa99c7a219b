"""Files and recorded traces through the live path, in a plain loop."""
