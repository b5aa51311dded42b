"""Figures from results: one module per subcommand, all in one style."""
