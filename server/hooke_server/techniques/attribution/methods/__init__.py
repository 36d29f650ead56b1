"""The methods: a file for each, or for a few that share their idea."""
