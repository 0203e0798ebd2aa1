"""The catalog as rows, what tables hold, and the difference of two."""
