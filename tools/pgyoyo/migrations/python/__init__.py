"""Migrations written in Python, read without running them."""
