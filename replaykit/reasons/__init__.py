"""reasons: why a rule emitted an action, and why it did not."""
