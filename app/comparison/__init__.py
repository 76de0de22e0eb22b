"""The comparison of all reconstruction methods on the same held-out images."""
