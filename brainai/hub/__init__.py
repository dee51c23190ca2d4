"""What goes to the Hub: models with their cards, data sets, and the Space."""
