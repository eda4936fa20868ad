"""The matrix: every client dialect against every provider. One module for each dialect's own client, what each must see
in told.py, the providers in providers.py, the reasons of what cannot be in reasons.toml."""
