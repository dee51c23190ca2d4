"""Publish models with their cards, data sets and the Space on the Hugging Face Hub."""
