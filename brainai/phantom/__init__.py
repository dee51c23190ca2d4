"""Simulate studies: anatomy, MR signal, and a tumor with a known mask."""
