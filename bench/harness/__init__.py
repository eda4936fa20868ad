"""What bench/run and bench/profile are made of; see bench/README.md."""
