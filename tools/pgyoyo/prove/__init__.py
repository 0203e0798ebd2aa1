"""Proofs that rollbacks restore catalog and rows."""
