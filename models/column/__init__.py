"""Build a column of mouse V1."""
