"""The archive room: plan what to colorize, colorize it, account for every file."""
