"""What is measured in a model and can be raised, explained or compared: an algebra of measures."""
