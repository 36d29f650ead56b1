"""Between the contract's messages and the server's values, one noun a file."""
