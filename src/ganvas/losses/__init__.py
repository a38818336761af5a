"""What the nets minimise."""
