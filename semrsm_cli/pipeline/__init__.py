"""What several subcommands do: open images, load networks, fill the store, and match what lies there."""
